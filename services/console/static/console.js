// What every page does without it, with less waiting: parts that are marked `data-live="SECONDS"` are read anew, values are copied
// with one click, and a form is not sent twice.
(function () {
  'use strict';
  var IDLE_MS = 30 * 60 * 1000;
  var touched = Date.now();
  ['pointerdown', 'keydown', 'scroll'].forEach(function (kind) {
    addEventListener(kind, function () { touched = Date.now(); }, { passive: true });
  });

  function stale(words) {
    var note = document.getElementById('stale');
    if (!words) { if (note) { note.remove(); } return; }
    if (!note) {
      note = document.createElement('p');
      note.id = 'stale';
      note.className = 'stale';
      note.setAttribute('role', 'status');
      document.body.appendChild(note);
    }
    note.textContent = words;
  }

  // What somebody is in the middle of is left alone.
  function busy(part) {
    return part.contains(document.activeElement) && document.activeElement !== document.body
      || part.querySelector('details[open]') || String(getSelection()).length > 0;
  }

  // Whether something stands in a field that did not come with the page.
  function typed() {
    return Array.prototype.some.call(document.querySelectorAll('input, textarea'), function (field) {
      return field.type !== 'hidden' && field.value !== field.defaultValue;
    });
  }

  // How long ago something was changes with every look: only what a part says of itself is told to those who listen.
  function say(part, other) {
    var words = other.dataset.say || '';
    if (words === (part.dataset.say || '')) { return; }
    part.dataset.say = words;
    document.getElementById('said').textContent = words;
  }

  function refresh() {
    var parts = Array.prototype.slice.call(document.querySelectorAll('[data-live]'));
    // A page that a form's answer has drawn stands at the form's address.
    return fetch(document.body.dataset.page || location.href, { credentials: 'same-origin', redirect: 'manual', headers: { accept: 'text/html' } }).then(function (answer) {
      if (answer.type === 'opaqueredirect') {
        if (typed()) { stale('You are not signed in any more. Send what you have typed: you are asked to sign in, and go on with it.'); } else { location.reload(); }
        return '';
      }
      if (!answer.ok) { throw new Error(String(answer.status)); }
      return answer.text();
    }).then(function (html) {
      if (!html) { return; }
      var fresh = new DOMParser().parseFromString(html, 'text/html');
      parts.forEach(function (part) {
        var other = part.id && fresh.getElementById(part.id);
        if (!other) { return; }
        say(part, other);
        if (other.innerHTML === part.innerHTML || busy(part)) { return; }
        var page = document.documentElement;
        var follow = part.hasAttribute('data-end') && innerHeight + page.scrollTop > page.scrollHeight - 80;
        part.innerHTML = other.innerHTML;
        if (follow) { page.scrollTop = page.scrollHeight; }
      });
      stale('');
    });
  }

  function live() {
    var parts = document.querySelectorAll('[data-live]');
    if (!parts.length) { return; }
    var every = Math.min.apply(null, Array.prototype.map.call(parts, function (part) { return Number(part.dataset.live) || 10; })) * 1000;
    var failures = 0;
    (function again() {
      setTimeout(function () {
        if (document.hidden) { again(); return; }
        // A page that nobody looks at keeps nobody signed in.
        if (Date.now() - touched > IDLE_MS) { stale('This page is not read anew any more. Touch it to go on.'); again(); return; }
        refresh().then(function () { failures = 0; }, function () {
          failures += 1;
          if (failures > 2) { stale('The server does not answer; what stands here may be old.'); }
        }).then(again);
      }, every * Math.min(failures + 1, 6));
    }());
  }

  document.addEventListener('submit', function (event) {
    var form = event.target;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = 'yes';
    setTimeout(function () { delete form.dataset.sent; }, 5000);
  });
  // Somebody who comes back by the Back button may send it again.
  addEventListener('pageshow', function () {
    document.querySelectorAll('form[data-sent]').forEach(function (form) { delete form.dataset.sent; });
  });

  document.querySelectorAll('code.copy').forEach(function (code) {
    if (!navigator.clipboard) { return; }
    var button = document.createElement('button');
    button.type = 'button';
    button.textContent = 'Copy';
    button.addEventListener('click', function () {
      navigator.clipboard.writeText(code.textContent).then(function () { button.textContent = 'Copied'; });
    });
    code.after(' ', button);
  });

  // Whoever has signed in in another tab goes on with what was typed.
  var going = document.querySelector('form[data-go-on]');
  if (going) {
    document.addEventListener('visibilitychange', function () { if (!document.hidden && !typed()) { going.submit(); } });
  }

  // To what is wrong: its field, which says so, or else the problem.
  var problem = document.querySelector('[aria-invalid=true]') || document.getElementById('problem');
  if (problem) { if (problem.id === 'problem') { problem.tabIndex = -1; } problem.focus(); }
  live();
}());
