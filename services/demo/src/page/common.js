'use strict';
// What all parts of the page share. Texts are only ever set as text, never as markup.
var demo = {};

(function () {
  demo.id = function (id) { return document.getElementById(id); };

  demo.el = function (tag, className, text) {
    var node = document.createElement(tag);
    if (className) { node.className = className; }
    if (text !== undefined) { node.textContent = text; }
    return node;
  };

  demo.set = function (node, text) {
    if (node.textContent !== text) { node.textContent = text; }
  };

  // Makes `parent` hold one node for each item, keeps those that are there: focus and live regions survive.
  demo.list = function (parent, items, keyOf, build, update) {
    var old = {}, node = parent.firstChild, place = parent.firstChild;
    while (node) { old['k' + node.demoKey] = node; node = node.nextSibling; }
    items.forEach(function (item, n) {
      var key = keyOf(item, n), found = old['k' + key];
      if (found) { delete old['k' + key]; } else { found = build(item); found.demoKey = key; }
      update(found, item);
      if (found === place) { place = place.nextSibling; } else { parent.insertBefore(found, place); }
    });
    Object.keys(old).forEach(function (key) { parent.removeChild(old[key]); });
  };

  // Keeps what scrolls at its end, unless somebody has scrolled up: when it is filled, and when it changes its size.
  demo.atEnd = function (node, change) {
    if (!node.demoFollows) {
      node.demoFollows = { end: true };
      node.addEventListener('scroll', function () {
        node.demoFollows.end = node.scrollHeight - node.scrollTop - node.clientHeight < 40;
      });
      new ResizeObserver(function () { follow(node); }).observe(node);
    }
    change();
    follow(node);
  };
  function follow(node) {
    if (node.demoFollows.end) { node.scrollTop = node.scrollHeight; }
  }
  // Something else is shown: from its end on.
  demo.fresh = function (node) {
    node.textContent = '';
    if (node.demoFollows) { node.demoFollows.end = true; }
  };

  function ask(method, path, body) {
    var options = { method: method, headers: {} };
    if (body !== undefined) {
      options.headers['content-type'] = 'application/json';
      options.body = JSON.stringify(body);
    }
    return fetch(path, options).then(function (answer) {
      return answer.text().then(function (text) {
        var json = null;
        try { json = text ? JSON.parse(text) : null; } catch (e) { json = null; }
        if (answer.ok) { return json; }
        throw new Error((json && (json.detail || json.title)) || 'the demo answered ' + answer.status);
      });
    });
  }
  demo.get = function (path) { return ask('GET', path); };
  demo.post = function (path, body) { return ask('POST', path, body === undefined ? {} : body); };

  var problemTimer = null;
  demo.problem = function (error) {
    var node = demo.id('problem');
    var lost = error instanceof TypeError;
    demo.set(node, lost ? 'The demo does not answer. If it was ended, start it again with deploy/dev/demo and reload.' : String(error.message || error));
    node.hidden = false;
    clearTimeout(problemTimer);
    problemTimer = setTimeout(function () { node.hidden = true; }, 8000);
  };

  // A function that runs `work` (which returns a promise) once at a time, and once more if it was asked for meanwhile.
  demo.coalesced = function (work) {
    var busy = false, again = false;
    return function run() {
      if (busy) { again = true; return; }
      busy = true;
      again = false;
      work().catch(demo.problem).then(function () {
        busy = false;
        if (again) { run(); }
      });
    };
  };

  function two(n) { return (n < 10 ? '0' : '') + n; }
  demo.clock = function (ms) {
    var at = new Date(ms);
    return two(at.getHours()) + ':' + two(at.getMinutes()) + ':' + two(at.getSeconds());
  };
  demo.took = function (ms) {
    if (ms < 0) { ms = 0; }
    return ms < 1000 ? Math.round(ms) + ' ms' : ms < 60000 ? (ms / 1000).toFixed(1) + ' s'
      : Math.floor(ms / 60000) + ' min ' + Math.round(ms % 60000 / 1000) + ' s';
  };

  var happened = [], happenings = 0;
  demo.happened = function (what, kind) {
    happened.push({ n: ++happenings, at: Date.now(), what: what, kind: kind || '' });
    happened = happened.slice(-60);
    var list = demo.id('happened');
    demo.atEnd(list, function () {
      demo.list(list, happened, function (h) { return h.n; }, function (h) {
        var line = demo.el('li', h.kind);
        line.appendChild(demo.el('time', '', demo.clock(h.at)));
        line.appendChild(demo.el('span', '', h.what));
        return line;
      }, function () {});
    });
  };

  // Enter sends, Shift+Enter makes a new line.
  demo.enterSends = function (field, form) {
    field.addEventListener('keydown', function (e) {
      if (e.key === 'Enter' && !e.shiftKey && !e.isComposing) {
        e.preventDefault();
        form.requestSubmit();
      }
    });
  };

  demo.chips = function (parent, texts, choose) {
    texts.forEach(function (text) {
      var chip = demo.el('button', 'chip', text.name || text.text);
      chip.type = 'button';
      if (text.title) { chip.title = text.title; }
      chip.addEventListener('click', function () { choose(text); });
      parent.appendChild(chip);
    });
  };
}());
