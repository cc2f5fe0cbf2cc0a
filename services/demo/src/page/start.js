// Connects the page, and again after the demo was away.
(function () {
  var live = demo.id('live');

  function connect() {
    var events = new EventSource('/demo/events'), seen = false;
    events.addEventListener('open', function () {
      live.className = 'on';
      demo.set(live, 'live');
      if (seen) { again(); }
      seen = true;
    });
    events.addEventListener('error', function () {
      live.className = 'off';
      demo.set(live, 'the demo does not answer');
    });
    events.addEventListener('phone', function (e) { demo.phone.event(JSON.parse(e.data)); });
    events.addEventListener('desk', function (e) { demo.desk.event(JSON.parse(e.data)); });
    events.addEventListener('lagged', again);
  }

  function again() {
    demo.phone.reload();
    demo.desk.reload();
  }

  demo.get('/demo/about').then(function (about) {
    demo.desk.start(about);
    demo.phone.start(about);
    connect();
    demo.happened('ready: ' + about.number + ' is answered in ' + about.skillset + ' over ' + about.link.replace(/\/CustomerControllerWeb.*/, ''));
    demo.id('phone-text').focus();
  }).catch(demo.problem);
}());
