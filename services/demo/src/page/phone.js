// The phone on the left: numbers, bubbles with ticks, and where the last texts are.
(function () {
  var QUICK = [
    { text: 'Hello!' },
    { text: 'Is a < b, and b > c?' },
    { text: 'R&D? <b>now</b>' },
    { text: 'Grüße 👋' },
    { text: 'Thanks, bye' }
  ];
  // States of the store in which nothing more happens by itself.
  var FINAL = { mo: { delivered: 1, refused: 1 }, mt: { sent: 1, delivered: 1, failed: 1, undeliverable: 1, expired: 1, unknown: 1 } };
  var about, phones = [], current = null;

  function find(number) {
    for (var i = 0; i < phones.length; i++) { if (phones[i].number === number) { return phones[i]; } }
    return null;
  }

  function add(number) {
    var phone = find(number);
    if (phone) { return phone; }
    phone = { number: number, texts: [], stored: {}, conversations: 0, unread: 0, draft: '', seen: 0, timer: null };
    phone.load = demo.coalesced(function () {
      return demo.get('/sim/phone/control/phones/' + encodeURIComponent(number) + '/messages').then(function (texts) {
        var before = phone.seen;
        phone.texts = texts;
        texts.forEach(function (t) {
          if (t.direction === 'received' && t.seq > before) {
            phone.seen = Math.max(phone.seen, t.seq);
            if (phone !== current) { phone.unread += 1; }
          }
        });
        phone.loadStore();
        draw();
      });
    });
    phone.loadStore = demo.coalesced(function () {
      clearTimeout(phone.timer);
      return demo.get('/demo/store?customer=' + encodeURIComponent(number)).then(function (conversations) {
        conversations.forEach(function (c) {
          c.texts.forEach(function (t) { phone.stored[t.provider_message_id || c.id + t.seq] = t; });
        });
        phone.conversations = conversations;
        draw();
        if (moving(phone)) { phone.timer = setTimeout(phone.loadStore, 1000); }
      });
    });
    phones.push(phone);
    return phone;
  }

  function moving(phone) {
    return (phone.conversations || []).some(function (c) {
      return c.texts.some(function (t) { return !FINAL[t.direction][t.state]; });
    });
  }

  function choose(phone) {
    var field = demo.id('phone-text');
    if (current) { current.draft = field.value; }
    current = phone;
    phone.unread = 0;
    field.value = phone.draft;
    demo.fresh(demo.id('bubbles'));
    draw();
    demo.desk.draw();
  }

  function tick(phone, text) {
    var stored = phone.stored[text.id];
    if (text.state === 'given_up') { return ['!', 'not accepted by CCM: ' + (text.last_failure || 'no answer'), 'bad']; }
    if (text.state === 'waiting') { return ['○', 'waits for CCM' + (text.posts > 1 ? ', try ' + text.posts : ''), '']; }
    if (!stored || stored.state === 'accepted') { return ['✓', 'accepted: stored by CCM', '']; }
    if (stored.state === 'sending') { return ['✓', 'on its way to the agent', '']; }
    if (stored.state === 'delivered') { return ['✓✓', 'the agent has it', 'good']; }
    return ['!', 'CCM: ' + stored.state, 'bad'];
  }

  function drawPhones() {
    var parent = demo.id('phones'), items = phones.concat([null]);
    demo.list(parent, items, function (p) { return p ? p.number : '+'; }, function (p) {
      var button = demo.el('button', p ? 'number' : 'number add');
      button.type = 'button';
      if (p) {
        button.appendChild(demo.el('span'));
        button.appendChild(demo.el('b', 'badge'));
        button.addEventListener('click', function () { choose(p); });
      } else {
        button.textContent = '+';
        button.setAttribute('aria-label', 'Another phone');
        button.setAttribute('aria-expanded', 'false');
        button.addEventListener('click', toggleNew);
      }
      return button;
    }, function (button, p) {
      if (!p) { return; }
      button.setAttribute('aria-pressed', String(p === current));
      demo.set(button.firstChild, p.number);
      demo.set(button.lastChild, p.unread ? String(p.unread) : '');
      button.setAttribute('aria-label', 'Phone ' + p.number + (p.unread ? ', ' + p.unread + ' new' : ''));
    });
  }

  function drawBubbles() {
    var box = demo.id('bubbles');
    demo.atEnd(box, function () {
      demo.list(box, current.texts, function (t) { return t.seq; }, function (t) {
        var bubble = demo.el('div', 'bubble ' + t.direction);
        bubble.appendChild(demo.el('p'));
        var meta = demo.el('span', 'meta');
        meta.appendChild(demo.el('time', '', demo.clock(t.at_ms)));
        if (t.direction === 'sent') {
          meta.appendChild(demo.el('b', 'tick'));
        }
        bubble.appendChild(meta);
        return bubble;
      }, function (bubble, t) {
        demo.set(bubble.firstChild, t.text);
        if (t.direction === 'sent') {
          var mark = bubble.lastChild.lastChild, now = tick(current, t);
          demo.set(mark, now[0]);
          mark.className = 'tick ' + now[2];
          mark.title = now[1];
          mark.setAttribute('role', 'img');
          mark.setAttribute('aria-label', now[1]);
        }
      });
    });
  }

  function last(direction) {
    for (var i = current.texts.length - 1; i >= 0; i--) {
      if (current.texts[i].direction === direction) { return current.texts[i]; }
    }
    return null;
  }

  function drawJourney(parent, steps) {
    demo.list(parent, steps, function (s, n) { return n; }, function () {
      var step = demo.el('li');
      step.appendChild(demo.el('b'));
      step.appendChild(demo.el('span'));
      return step;
    }, function (step, s) {
      step.className = s.is;
      demo.set(step.firstChild, s.name);
      demo.set(step.lastChild, s.detail || '');
    });
  }

  function when(iso) { return Date.parse(iso); }

  function journeyIn() {
    var text = last('sent');
    if (!text) { return [{ name: 'nothing sent yet', is: 'todo' }]; }
    var stored = current.stored[text.id];
    var steps = [{ name: 'sent', is: 'done', detail: demo.clock(text.at_ms) }];
    if (text.state === 'given_up') {
      return steps.concat([{ name: 'not accepted', is: 'bad', detail: text.last_failure }]);
    }
    steps.push(text.state === 'accepted'
      ? { name: 'accepted', is: 'done', detail: 'on disk after ' + demo.took(text.accepted_at_ms - text.at_ms) }
      : { name: 'accepted', is: 'now', detail: text.last_failure || 'posted to the webhook' });
    var state = stored && stored.state;
    if (state === 'delivered') {
      steps.push({ name: 'delivered', is: 'done', detail: 'acknowledged after ' + demo.took(when(stored.updated_at) - text.at_ms) + again(stored) });
    } else if (state === 'refused') {
      steps.push({ name: 'refused', is: 'bad', detail: stored.error_code });
    } else if (state === 'sending') {
      steps.push({ name: 'delivered', is: 'now', detail: 'written to the socket, not acknowledged yet' });
    } else {
      steps.push({ name: 'delivered', is: text.state === 'accepted' ? 'now' : 'todo', detail: demo.desk.heldWhy(current.number) });
    }
    return steps;
  }

  function again(stored) {
    return stored.resends > 0 ? ', sent again ' + stored.resends + '×' : '';
  }

  function journeyOut() {
    var said = demo.desk.lastSaid(current.number), got = last('received');
    if (!said && !got) { return [{ name: 'no answer yet', is: 'todo' }]; }
    var newest = null;
    (current.conversations || []).forEach(function (c) {
      c.texts.forEach(function (t) {
        if (t.direction === 'mt' && (!newest || when(t.created_at) > when(newest.created_at))) { newest = t; }
      });
    });
    var steps = [{ name: 'said', is: 'done', detail: said ? demo.clock(said.at_ms) : '' }];
    var isStored = newest && (!said || when(newest.created_at) >= said.at_ms - 5);
    if (!isStored) {
      return steps.concat([{ name: 'stored', is: 'now', detail: 'AACC has it, CCM not yet' }, { name: 'on the phone', is: 'todo' }]);
    }
    var from = said ? said.at_ms : when(newest.created_at);
    steps.push({ name: 'stored', is: 'done', detail: 'after ' + demo.took(when(newest.created_at) - from) });
    var arrived = got && got.id === newest.provider_message_id;
    if (arrived) {
      steps.push({ name: 'on the phone', is: 'done', detail: 'after ' + demo.took(got.at_ms - from) + again(newest) });
    } else if (FINAL.mt[newest.state] && newest.state !== 'sent') {
      steps.push({ name: newest.state, is: 'bad', detail: newest.error_code || '' });
    } else {
      steps.push({ name: 'on the phone', is: 'now', detail: newest.attempts > 1 ? 'try ' + newest.attempts : newest.state });
    }
    return steps;
  }

  function draw() {
    if (!current) { return; }
    drawPhones();
    drawBubbles();
    drawJourney(demo.id('journey-mo'), journeyIn());
    drawJourney(demo.id('journey-mt'), journeyOut());
    demo.id('phone-typing').hidden = !demo.desk.agentTypesTo(current.number);
  }

  function send(text) {
    var phone = current;
    return demo.post('/sim/phone/control/phones/' + encodeURIComponent(phone.number) + '/send', { to: about.number, text: text })
      .then(phone.load, demo.problem);
  }

  function toggleNew() {
    var form = demo.id('new-phone'), field = demo.id('new-number');
    form.hidden = !form.hidden;
    demo.id('phones').lastChild.setAttribute('aria-expanded', String(!form.hidden));
    if (!form.hidden) {
      // The next number after the highest that is there.
      var highest = phones.map(function (p) { return p.number; }).sort().pop();
      field.value = highest.slice(0, -4) + String(Number(highest.slice(-4)) + 1).slice(-4).padStart(4, '0');
      field.focus();
      field.select();
    }
  }

  function takeNew(e) {
    e.preventDefault();
    var field = demo.id('new-number'), number = field.value.replace(/[\s().-]/g, '');
    if (!/^\+[1-9][0-9]{6,14}$/.test(number)) {
      field.setAttribute('aria-invalid', 'true');
      demo.problem(new Error('Write the number with its country, like ' + about.customer));
      field.focus();
      return;
    }
    field.removeAttribute('aria-invalid');
    toggleNew();
    var phone = add(number);
    phone.load();
    choose(phone);
    demo.id('phone-text').focus();
  }

  demo.phone = {
    start: function (told) {
      about = told;
      demo.set(demo.id('contact-number'), about.number);
      demo.chips(demo.id('quick-texts'), QUICK, function (quick) { send(quick.text); });
      var form = demo.id('phone-form'), field = demo.id('phone-text');
      demo.enterSends(field, form);
      form.addEventListener('submit', function (e) {
        e.preventDefault();
        if (field.value.trim()) { send(field.value); field.value = ''; }
        field.focus();
      });
      demo.id('new-phone').addEventListener('submit', takeNew);
      demo.id('new-number').addEventListener('keydown', function (e) {
        if (e.key === 'Escape') { toggleNew(); demo.id('phones').lastChild.focus(); }
      });
      choose(add(about.customer));
      demo.phone.reload();
    },
    reload: function () {
      demo.get('/sim/phone/control/record').then(function (record) {
        record.sent.forEach(function (t) { add(t.from); });
        phones.forEach(function (p) { p.load(); });
      }).catch(demo.problem);
    },
    event: function (e) {
      add(e.type === 'sent' ? e.text.from : e.text.to).load();
    },
    draw: draw,
    // The far side of a text moved: the store knows more.
    look: function (number) {
      var phone = find(number);
      if (phone) { phone.loadStore(); }
    }
  };
}());
