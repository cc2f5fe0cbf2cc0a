// The agent's desktop on the right: chats, what is said in them, and what can be broken.
(function () {
  var AGENTS = [{ id: '7000', name: 'Russell Greaney' }, { id: '7001', name: 'Paul Byrne' }];
  var QUICK = [
    { text: 'Hello, how can I help you today?' },
    { text: '1 &lt; 2 &amp; 3', raw: true, title: 'Leaves AACC exactly like this; the phone shows 1 < 2 & 3' },
    { text: '‹ 5 minutes ›', title: 'The phone shows < 5 minutes >' },
    { text: 'Your ticket is resent.' },
    { text: 'Goodbye!' }
  ];
  var STATES = { waiting: 'waiting', live: 'live', ended: 'ended' };
  var ENDS = { customer: "closed from the customer's side", agent: 'ended by the agent', expired: 'session expired', no_agent: 'no agent found' };
  var chats = [], chosen = null, whole = null, me = AGENTS[0], drafts = {}, last = {}, lostAt = {}, holes = {};
  var about = null, typing = null, maintenance = false;

  function find(guid) {
    for (var i = 0; i < chats.length; i++) { if (chats[i].guid === guid) { return chats[i]; } }
    return null;
  }
  function name(id) {
    for (var i = 0; i < AGENTS.length; i++) { if (AGENTS[i].id === id) { return AGENTS[i].name; } }
    return id;
  }
  function has(chat, id) { return chat.agents.some(function (a) { return a.id === id; }); }
  function newestOf(number) {
    var found = null;
    chats.forEach(function (c) { if (c.customer === number) { found = c; } });
    return found;
  }
  // open, hole (open for AACC, dead on the way), lost.
  function link(chat) {
    if (chat.state === 'ended') { return 'over'; }
    if (chat.link === 'lost') { return 'lost'; }
    return holes[chat.guid] === chat.link.open ? 'hole' : 'open';
  }
  var LINKS = { open: 'link up', lost: 'link lost, CCM is coming back', hole: 'black hole, CCM does not know yet', over: '' };

  var loadChat = demo.coalesced(function () {
    var guid = chosen;
    if (guid === null) { whole = null; draw(); return Promise.resolve(); }
    return demo.get('/sim/aacc/control/chats/' + guid).then(function (chat) {
      // A chat in which nothing was said yet comes without a transcript.
      chat.transcript = chat.transcript || [];
      if (chosen === guid) { whole = chat; draw(); }
    });
  });

  var load = demo.coalesced(function () {
    return demo.get('/sim/aacc/control/chats').then(function (list) {
      chats = list;
      if (chosen !== null && !find(chosen)) { chosen = null; }
      // The first chat chooses itself; and a new one, when the chosen one is over.
      var now = find(chosen);
      if (!now || (now.state === 'ended' && !drafts[chosen])) {
        var open = chats.filter(function (c) { return c.state !== 'ended'; });
        if (open.length) { choose(open[0].guid); }
      }
      draw();
      loadChat();
    });
  });

  function choose(guid) {
    var field = demo.id('desk-text');
    if (chosen === guid) { return; }
    stopTyping();
    if (chosen !== null) { drafts[chosen] = field.value; }
    chosen = guid;
    whole = null;
    field.value = drafts[guid] || '';
    demo.fresh(demo.id('lines'));
    hint();
    draw();
    loadChat();
  }

  function act(what, body) {
    var guid = chosen;
    return demo.post('/sim/aacc/control/chats/' + guid + '/' + what, body || {}).then(function (chat) {
      load();
      return chat;
    });
  }

  function order(chat) { return { waiting: 0, live: 1, ended: 2 }[chat.state]; }

  function drawChats() {
    var sorted = chats.slice().sort(function (a, b) {
      return order(a) - order(b) || (a.state === 'ended' ? b.guid - a.guid : a.guid - b.guid);
    });
    demo.id('no-chats').hidden = sorted.length > 0;
    demo.list(demo.id('chats'), sorted, function (c) { return c.guid; }, function (c) {
      var item = demo.el('li'), button = demo.el('button', 'item');
      button.type = 'button';
      ['strong', 'state', 'badge', 'small'].forEach(function (part) {
        button.appendChild(demo.el(part === 'strong' ? 'strong' : 'span', part));
      });
      button.addEventListener('click', function () {
        choose(c.guid);
        if (find(c.guid) && find(c.guid).state !== 'ended') { act('read').catch(demo.problem); }
      });
      item.appendChild(button);
      return item;
    }, function (item, c) {
      var button = item.firstChild, parts = button.childNodes, how = link(c);
      item.className = c.state + ' link-' + how;
      button.setAttribute('aria-current', String(c.guid === chosen));
      demo.set(parts[0], c.customer);
      demo.set(parts[1], STATES[c.state]);
      demo.set(parts[2], c.unread && c.state !== 'ended' ? String(c.unread) : '');
      parts[2].setAttribute('aria-label', c.unread ? c.unread + ' unread' : '');
      var who = c.agents.map(function (a) { return a.name.split(' ')[0]; }).join(', ');
      demo.set(parts[3], c.state === 'ended' ? ENDS[c.end_reason] || 'ended'
        : how !== 'open' ? LINKS[how] : c.state === 'waiting' ? 'since ' + demo.clock(c.opened_at_ms) : 'with ' + who);
    });
    var waiting = chats.filter(function (c) { return c.state === 'waiting'; }).length;
    demo.set(demo.id('queue'), about ? about.skillset + ': ' + waiting + ' waiting' : '');
    demo.id('queue').className = 'queue' + (waiting ? ' some' : '');
  }

  function line(l) {
    if (l.kind === 'joined') { return [null, name(l.agent_id) + ' has joined']; }
    if (l.kind === 'left') { return [null, name(l.agent_id) + ' has left']; }
    if (l.kind === 'ended') { return [null, 'chat ended']; }
    if (l.kind === 'welcome') {
      var label = /^(\[[^\]]*\]) (.*)$/.exec(l.text);
      return label ? [label[1], label[2]] : ['[Agent]', l.text];
    }
    return [l.from === 'customer' ? '[Customer]' : '[Agent]', l.displayed || l.text];
  }

  function drawChat() {
    var chat = find(chosen), box = demo.id('lines'), pane = demo.id('chat');
    var lines = whole && whole.guid === chosen ? whole.transcript : [];
    var mine = chat && chat.state !== 'ended' && has(chat, me.id);
    var over = !chat || chat.state === 'ended';
    pane.setAttribute('data-state', chat ? chat.state : 'none');
    demo.set(demo.id('chat-customer'), chat ? chat.customer : 'No chat chosen');
    demo.set(demo.id('chat-facts'), chat ? chat.customer_name + ' · ' + chat.skillset + ' · contact ' + chat.guid
      + (chat.resumes ? ' · resumed ' + chat.resumes + '×' : '') : 'Texts from the phone come up on the left of this window.');
    var how = chat ? link(chat) : 'over', state = demo.id('chat-link');
    state.className = 'link ' + how;
    demo.set(state, how === 'open' ? 'link up · socket ' + chat.link.open : LINKS[how]);
    demo.atEnd(box, function () {
      demo.list(box, lines, function (l, n) { return chosen + '-' + n; }, function (l) {
        var item = demo.el('li', l.kind + ' ' + l.from), parts = line(l);
        item.appendChild(demo.el('time', '', demo.clock(l.at_ms)));
        if (parts[0]) {
          var label = demo.el('b', '', parts[0]);
          if (l.name) { label.title = l.name; }
          item.appendChild(label);
        }
        item.appendChild(demo.el('span', '', parts[1]));
        return item;
      }, function () {});
    });

    var accept = demo.id('accept');
    accept.disabled = over || mine;
    demo.set(accept, chat && chat.state === 'live' && !mine ? 'Join' : 'Accept');
    accept.className = chat && chat.state === 'waiting' && !mine ? 'go alerting' : 'go';
    demo.id('leave').disabled = demo.id('transfer').disabled = demo.id('transfer-to').disabled = !mine;
    demo.id('desk-text').disabled = demo.id('desk-send').disabled = !mine;
    demo.id('desk-text').placeholder = mine ? 'Answer …' : over ? 'The chat is over.' : chat.agents.length
      ? name(chat.agents[0].id) + ' has this chat: join it, or be ' + name(chat.agents[0].id).split(' ')[0] + '.' : 'Accept the chat to answer.';
    demo.id('quick-answers').childNodes.forEach(function (chip) { chip.disabled = !mine; });
    Array.prototype.forEach.call(document.querySelectorAll('[data-break]'), function (b) { b.disabled = over; });
    var typers = chat ? chat.agents_typing.map(name) : [];
    var types = demo.id('desk-typing');
    types.className = 'typing' + (typers.length ? ' on' : '');
    demo.set(types, typers.length ? typers.join(' and ') + (typers.length > 1 ? ' are' : ' is') + ' typing … isTyping sent to the customer’s side' : '');
  }

  function drawTransfer() {
    var options = AGENTS.filter(function (a) { return a.id !== me.id; }).concat([{ id: '', name: 'back to the queue' }]);
    demo.list(demo.id('transfer-to'), options, function (a) { return a.id; }, function (a) {
      var option = demo.el('option', '', a.id ? a.name + ' (' + a.id + ')' : a.name);
      option.value = a.id;
      return option;
    }, function () {});
  }

  function draw() {
    drawChats();
    drawChat();
    demo.phone.draw();
  }

  // ---- typing: sent when it begins, taken back after a pause or with the text
  function types() {
    var chat = find(chosen);
    if (!chat || !has(chat, me.id)) { return; }
    if (!typing) {
      typing = { guid: chosen, id: me.id };
      demo.post('/sim/aacc/control/chats/' + chosen + '/typing', { typing: true, agent_id: me.id }).catch(demo.problem);
    }
    clearTimeout(typing.timer);
    typing.timer = setTimeout(stopTyping, 3000);
  }
  function stopTyping() {
    if (!typing) { return; }
    clearTimeout(typing.timer);
    // The chat may be over by now.
    demo.post('/sim/aacc/control/chats/' + typing.guid + '/typing', { typing: false, agent_id: typing.id }).catch(function () {});
    typing = null;
  }

  function say(text, raw) {
    stopTyping();
    return act('say', { text: text, raw: !!raw, agent_id: me.id }).catch(demo.problem);
  }

  function hint() { demo.id('hint').hidden = !/[<>]/.test(demo.id('desk-text').value); }

  // ---- breaking
  function breakIt(how) {
    var chat = find(chosen);
    if (!chat) { return; }
    if (how === 'expire') {
      demo.happened('session of chat ' + chosen + ' expired: AACC refuses its key', 'bad');
      demo.post('/sim/aacc/control/faults/expire', { guid: chosen }).then(function () {
        // CCM learns of it when it comes back, so the socket is cut with it.
        return demo.post('/sim/aacc/control/faults/break', { guid: chosen, how: 'close' });
      }).then(load, demo.problem);
      return;
    }
    if (how === 'black_hole') {
      if (chat.link.open) { holes[chosen] = chat.link.open; lostAt[chosen] = Date.now(); }
      demo.happened('black hole: nothing passes, nobody says so; CCM’s pings find out within 20 s', 'bad');
    }
    demo.post('/sim/aacc/control/faults/break', { guid: chosen, how: how }).then(function (hit) {
      if (!hit.sockets) { demo.happened('there was no open socket to break'); }
      load();
    }).catch(demo.problem);
  }

  function setMaintenance(on) {
    demo.post('/sim/aacc/control/faults', { maintenance: on }).then(function (faults) {
      showMaintenance(faults.maintenance);
      demo.happened(on ? 'maintenance: AACC refuses new chats; texts are kept' : 'maintenance is over; CCM tries again within a minute', on ? 'bad' : 'good');
    }).catch(demo.problem);
  }
  function showMaintenance(on) {
    maintenance = on;
    demo.id('maintenance').setAttribute('aria-pressed', String(on));
    demo.set(demo.id('maintenance'), on ? 'End maintenance' : 'Maintenance');
  }

  function tell(e) {
    var chat = find(e.guid), who = chat ? ' of ' + chat.customer : '';
    if (e.event === 'chat_opened') { demo.happened('chat ' + e.guid + ' opened for ' + e.customer); }
    if (e.event === 'link_lost') {
      lostAt[e.guid] = lostAt[e.guid] || Date.now();
      demo.happened('link of chat ' + e.guid + ' lost', 'bad');
    }
    if (e.event === 'resumed') {
      var after = lostAt[e.guid] ? ' after ' + demo.took(Date.now() - lostAt[e.guid]) : '';
      delete lostAt[e.guid];
      delete holes[e.guid];
      demo.happened('link of chat ' + e.guid + ' healed' + after + ', on socket ' + e.socket, 'good');
    }
    if (e.event === 'joined') { demo.happened(name(e.agent.id) + ' joined chat ' + e.guid); }
    if (e.event === 'left') { demo.happened(name(e.agent_id) + ' left chat ' + e.guid + (e.end_chat ? ' and ended it' : '')); }
    if (e.event === 'closed') {
      delete lostAt[e.guid];
      demo.happened('chat ' + e.guid + who + ' is over: ' + (ENDS[e.reason] || e.reason), e.reason === 'expired' ? 'bad' : '');
    }
  }

  demo.desk = {
    start: function (told) {
      about = told;
      AGENTS.forEach(function (a) {
        var option = demo.el('option', '', a.name + ' (' + a.id + ')');
        option.value = a.id;
        demo.id('me').appendChild(option);
      });
      demo.id('me').addEventListener('change', function () {
        stopTyping();
        var id = this.value;
        me = AGENTS.filter(function (a) { return a.id === id; })[0];
        drawTransfer();
        draw();
      });
      demo.chips(demo.id('quick-answers'), QUICK, function (quick) { say(quick.text, quick.raw); });
      demo.id('accept').addEventListener('click', function () {
        act('join', { id: me.id, name: me.name }).then(function () {
          setTimeout(function () { demo.id('desk-text').focus(); }, 100);
        }).catch(demo.problem);
      });
      demo.id('leave').addEventListener('click', function () {
        stopTyping();
        act('leave', { end_chat: true, agent_id: me.id }).catch(demo.problem);
      });
      demo.id('transfer').addEventListener('click', function () {
        stopTyping();
        var to = demo.id('transfer-to').value;
        var body = { agent_id: me.id };
        if (to) { body.to = { id: to, name: name(to) }; }
        act('transfer', body).catch(demo.problem);
      });
      var form = demo.id('desk-form'), field = demo.id('desk-text');
      demo.enterSends(field, form);
      field.addEventListener('input', function () { hint(); if (field.value) { types(); } else { stopTyping(); } });
      form.addEventListener('submit', function (e) {
        e.preventDefault();
        if (!field.value.trim()) { return; }
        say(field.value);
        field.value = '';
        delete drafts[chosen];
        hint();
        field.focus();
      });
      demo.id('swap').addEventListener('click', function () {
        field.value = field.value.replace(/</g, '‹').replace(/>/g, '›');
        hint();
        field.focus();
      });
      Array.prototype.forEach.call(document.querySelectorAll('[data-break]'), function (button) {
        button.addEventListener('click', function () { breakIt(button.getAttribute('data-break')); });
      });
      demo.id('maintenance').addEventListener('click', function () { setMaintenance(!maintenance); });
      demo.get('/sim/aacc/control/faults').then(function (faults) { showMaintenance(faults.maintenance); }).catch(demo.problem);
      drawTransfer();
      load();
    },
    reload: function () { load(); },
    event: function (e) {
      tell(e);
      if (e.event === 'text') {
        var chat = find(e.guid);
        if (e.line.from !== 'customer' && chat) { last[chat.customer] = e.line; }
      }
      load();
      var known = find(e.guid);
      if (known) { demo.phone.look(known.customer); }
    },
    draw: function () { drawChats(); },
    // The newest thing that AACC's side said to a number, since this page was opened.
    lastSaid: function (number) { return last[number] || null; },
    agentTypesTo: function (number) {
      return chats.some(function (c) { return c.customer === number && c.agents_typing.length > 0; });
    },
    // Why a text of a number may still be held.
    heldWhy: function (number) {
      var chat = newestOf(number);
      if (!chat || chat.state === 'ended') { return maintenance ? 'held: AACC is under maintenance' : 'held: CCM opens a chat'; }
      var how = link(chat);
      if (how !== 'open') { return 'held: ' + LINKS[how]; }
      return chat.state === 'waiting' ? 'held until an agent is in' : 'on its way to the agent';
    }
  };
}());
