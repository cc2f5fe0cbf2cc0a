"""Where queueing matters, arithmetic is not enough: texts in their lines on the way to a provider, and chats that go to other pods.

Discrete events, seeded: the same seed gives the same figures. No clock, no randomness but `random.Random(seed)`. Tested by test_model.py, the
first one against Erlang's formula.
"""
import heapq, math, random
from collections import deque


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


def erlang_c_wait(rate, service, servers):
    """Mean wait before service of M/M/c."""
    load = rate * service
    if load >= servers:
        return math.inf
    term, total = 1.0, 1.0
    for n in range(1, servers):
        term *= load / n
        total += term
    term *= load / servers
    last = term * servers / (servers - load)
    return last / (total + last) * service / (servers - load)


def outbox(*, rate, slots, conversations, numbers, per_second, lock_s, latency, seconds, seed, claim_s=0.0, slow=None):
    """Texts come at random moments to random conversations, each in its line, one at a time; a line has one of `numbers` numbers, which sends `per_second`
    segments and whose row is locked for `lock_s` a text; `slots` texts are under way at once. `latency(random)` is how long the provider takes;
    `slow = (from, to, factor)` makes it that much slower for a while. `claim_s`: from a line's being due to its claim. Returns seconds from a text's moment to the provider's answer."""
    rng = random.Random(seed)
    events, order = [], 0

    def at(moment, kind, what):
        nonlocal order
        order += 1
        heapq.heappush(events, (moment, order, kind, what))

    moment = rng.expovariate(rate)
    while moment < seconds:
        at(moment, "text", rng.randrange(conversations))
        moment += rng.expovariate(rate)
    lines, ready, free = [deque() for _ in range(conversations)], deque(), slots
    number_free, done = [0.0] * numbers, []
    while events:
        now, _, kind, what = heapq.heappop(events)
        if kind == "text":
            lines[what].append(now)
            if len(lines[what]) == 1:
                at(now + claim_s, "due", what)
            continue
        if kind == "due":
            ready.append(what)
        elif kind == "answered":
            free += 1
            done.append(now - lines[what].popleft())
            if lines[what]:
                ready.append(what)
        while free and ready:
            line = ready.popleft()
            free -= 1
            number = line % numbers
            leaves = max(now, number_free[number])
            number_free[number] = leaves + max(lock_s, 1 / per_second)
            took = latency(rng)
            if slow and slow[0] <= leaves < slow[1]:
                took *= slow[2]
            at(leaves + lock_s + took, "answered", line)
    return done


def handover(*, chats, tenants, pods, cores, cpu_s, connects_per_second, lease_s, poll_s, handshake, seed):
    """One pod's `chats`, of `tenants` tenants, go to `pods` others. They are free after `lease_s` and found at the next beat; each tenant's new owner
    dials at the link's rate after up to a second's pause; each resume takes `cpu_s` of its pod's `cores`. Returns seconds from the fault to each chat's resume."""
    rng = random.Random(seed)
    cpu_free = [[0.0] * cores for _ in range(pods)]
    dials = []
    for tenant in range(tenants):
        owner = rng.randrange(pods)
        found = lease_s + rng.random() * poll_s
        count = chats // tenants + (tenant < chats % tenants)
        moments = sorted(found + rng.random() for _ in range(count))
        gate = found
        for moment in moments:
            gate = max(gate, moment)
            dials.append((gate, owner))
            gate += 1 / connects_per_second
    resumed = []
    for moment, owner in sorted(dials):
        core = min(range(cores), key=cpu_free[owner].__getitem__)
        begins = max(moment, cpu_free[owner][core])
        cpu_free[owner][core] = begins + cpu_s
        resumed.append(begins + cpu_s + handshake(rng))
    return resumed
