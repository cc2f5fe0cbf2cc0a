/* ES5, for Internet Explorer 11 as it stands in Agent Desktop. The page works without it: this saves what is being written, counts
   it, and keeps the history new. */
(function () {
  'use strict';
  var form = document.getElementById('pop');
  var history = document.getElementById('history');
  if (!form || !history || !window.XMLHttpRequest || !document.addEventListener) { return; }
  var path = form.getAttribute('data-path');
  var body, tag = null, ended = false, sending = false, pressing = false, writing = null, asked = 0;

  function byId(id) { return document.getElementById(id); }

  function ask(method, where, body, done) {
    var request = new XMLHttpRequest();
    request.open(method, path + where, true);
    if (body !== null) { request.setRequestHeader('Content-Type', 'application/x-www-form-urlencoded; charset=UTF-8'); }
    if (method === 'GET' && tag) { request.setRequestHeader('If-None-Match', tag); }
    request.onreadystatechange = function () {
      if (request.readyState !== 4) { return; }
      if (request.status === 410 || request.status === 403) { end(); }
      done(request);
    };
    request.send(body);
  }

  /* What stands in the form, as a submit would send it, without a button. */
  function filled() {
    var parts = [], i, field;
    for (i = 0; i < form.elements.length; i += 1) {
      field = form.elements[i];
      if (field.name && field.type !== 'submit') {
        parts.push(encodeURIComponent(field.name) + '=' + encodeURIComponent(field.value));
      }
    }
    return parts.join('&');
  }

  /* What is being written stays when another form loads the page anew. */
  function takeAlong(other) {
    var i, field, copy;
    for (i = 0; i < form.elements.length; i += 1) {
      field = form.elements[i];
      if (field.name && field.type !== 'submit') {
        copy = document.createElement('input');
        copy.type = 'hidden';
        copy.name = field.name;
        copy.value = field.value;
        other.appendChild(copy);
      }
    }
  }

  function end() {
    if (ended) { return; }
    ended = true;
    var told = document.createElement('p');
    told.className = 'told bad';
    told.setAttribute('role', 'alert');
    told.appendChild(document.createTextNode(form.getAttribute('data-ended')));
    form.insertBefore(told, form.firstChild);
  }

  /* Moments in the agent's own time. */
  function localTimes() {
    var times = history.getElementsByTagName('time'), i, at;
    function two(n) { return (n < 10 ? '0' : '') + n; }
    for (i = 0; i < times.length; i += 1) {
      at = new Date(times[i].getAttribute('datetime'));
      if (!isNaN(at.getTime())) {
        times[i].textContent = at.getFullYear() + '-' + two(at.getMonth() + 1) + '-' + two(at.getDate()) + ' ' +
          two(at.getHours()) + ':' + two(at.getMinutes());
      }
    }
  }

  /* Renews the history. A button in it that has the focus keeps it, if its text is still there. */
  function renew(html) {
    var focused = document.activeElement, text = null, failed = failures(), fields, i;
    if (history.contains(focused) && focused.form) { text = focused.form.elements.text.value; }
    history.innerHTML = html;
    localTimes();
    fields = history.getElementsByTagName('input');
    for (i = 0; text && i < fields.length; i += 1) {
      if (fields[i].value === text) { fields[i].form.getElementsByTagName('button')[0].focus(); }
    }
    byId('failed').textContent = failures() > failed ? form.getAttribute('data-failed') : '';
  }

  function failures() { return history.getElementsByClassName('failed').length; }

  function look() {
    if (ended) { return; }
    if (document.hidden) { window.setTimeout(look, 4000); return; }
    ask('GET', '/history', null, function (request) {
      /* A button that is being pressed is not taken from under the agent. */
      if (request.status === 200 && !sending && !pressing) {
        tag = request.getResponseHeader('ETag');
        renew(request.responseText);
      }
      window.setTimeout(look, 4000);
    });
  }

  function save() {
    var mine;
    writing = null;
    if (ended || sending) { return; }
    asked += 1;
    mine = asked;
    ask('POST', '/draft', filled(), function (request) {
      var meter = byId('meter');
      /* An answer that was overtaken counts an older text. */
      if (request.status === 200 && mine === asked && !meter.contains(document.activeElement)) {
        meter.innerHTML = request.responseText;
      }
    });
  }

  function written() {
    if (writing) { window.clearTimeout(writing); }
    writing = window.setTimeout(save, 350);
  }

  function check() {
    var verdict = byId('verdict'), button = byId('check');
    button.disabled = true;
    ask('POST', '/check', filled(), function (request) {
      button.disabled = false;
      if (request.status === 200) { verdict.innerHTML = request.responseText; }
    });
  }

  form.addEventListener('input', written, false);
  form.addEventListener('change', written, false);
  /* What was said of one number, or of texts from one sender, is not said of another. */
  form.addEventListener('change', function (event) {
    if (event.target.name === 'number' || event.target.name === 'sender') {
      byId('verdict').innerHTML = '';
      byId('send').disabled = false;
    }
  }, false);
  byId('check').addEventListener('click', function (event) { event.preventDefault(); check(); }, false);
  document.addEventListener('submit', function (event) {
    /* A second click would do nothing, but it would look as if it did. */
    if (sending) { event.preventDefault(); return; }
    sending = true;
    /* Stopped by the agent or by the network, it can be sent again: what has been sent is not sent twice. */
    window.setTimeout(function () { sending = false; }, 8000);
    if (event.target !== form) { takeAlong(event.target); }
  }, false);
  history.addEventListener('mousedown', function () { pressing = true; }, false);
  document.addEventListener('mouseup', function () { pressing = false; }, false);
  /* Back in a page that the browser kept. */
  window.addEventListener('pageshow', function (event) { if (event.persisted) { window.location.reload(); } sending = false; }, false);

  /* Whoever goes on writing does so at the end. */
  body = byId('body');
  if (body.setSelectionRange) { body.setSelectionRange(body.value.length, body.value.length); }
  localTimes();
  window.setTimeout(look, 2000);
  if (form.getAttribute('data-check')) { check(); }
}());
