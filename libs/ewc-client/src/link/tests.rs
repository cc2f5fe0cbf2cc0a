use super::*;
use std::collections::VecDeque;

fn link(rate: f64, secondary: bool) -> Link {
    // Nobody is dialled here: admissions only.
    let config = LinkConfig {
        failback_probe: Duration::from_secs(1_000_000),
        ..LinkConfig::default()
    };
    let (one, two) = (Target::ws("127.0.0.1", 1), Target::ws("127.0.0.2", 1));
    let secondary = secondary.then_some(&two);
    Link::new(&one, secondary, ConnectRate::per_second(rate), config, 3).unwrap()
}

fn refused() -> DialError {
    DialError::Tcp(std::io::ErrorKind::ConnectionRefused.into())
}

/// The most instants that lie within any second.
fn most_in_a_second(mut at: Vec<Instant>) -> usize {
    at.sort();
    let mut window = VecDeque::new();
    let mut most = 0;
    for now in at {
        window.push_back(now);
        while window[0] + Duration::from_secs(1) <= now {
            window.pop_front();
        }
        most = most.max(window.len());
    }
    most
}

/// 10,000 sockets come back at once; the primary fails, the secondary works, and some give up while they wait.
#[tokio::test(start_paused = true)]
async fn a_storm_keeps_to_the_rate_across_fail_over() {
    for rate in [7.0, 50.0, 333.0] {
        let link = link(rate, true);
        let begun = Instant::now();
        let chats: Vec<_> = (0..10_000)
            .map(|n| {
                let link = link.clone();
                tokio::spawn(async move {
                    let mut pass = link.admitted().await;
                    let at = Instant::now();
                    match pass.endpoint() {
                        Which::Primary => pass.dial_failed(&refused()),
                        Which::Secondary => pass.got_in(),
                    }
                    (n, at)
                })
            })
            .collect();
        sleep(Duration::from_millis(500)).await;
        assert!(link.status().waiting > 9_000);
        for chat in chats.iter().step_by(10) {
            chat.abort();
        }
        let mut dialled = Vec::new();
        let mut order = Vec::new();
        for chat in chats {
            if let Ok((n, at)) = chat.await {
                dialled.push(at);
                order.push(n);
            }
        }
        assert!((9_000..9_100).contains(&dialled.len()));
        assert!(
            dialled.is_sorted() && order.is_sorted(),
            "first come, first served"
        );
        let most = most_in_a_second(dialled.clone());
        assert!(most <= rate as usize + 1, "{most} in a second at {rate}");
        let took = begun.elapsed().as_secs_f64();
        let ideal = dialled.len() as f64 / rate;
        assert!(
            took < 1.1 * ideal,
            "{took} s instead of {ideal} s: those who gave up took places"
        );
        let status = link.status();
        assert_eq!(status.health.active, Which::Secondary);
        assert_eq!(
            (status.counts.failovers, status.counts.failures, status.waiting),
            (1, 5, 0)
        );
        assert_eq!(status.health.state, LinkState::Up);
        assert_eq!(status.counts.dials, dialled.len() as u64);
    }
}

#[tokio::test(start_paused = true)]
async fn a_held_link_admits_nobody_until_it_is_let_go() {
    let link = link(0.0, false);
    link.hold(true);
    let mut watch = link.watch();
    let waiting = {
        let link = link.clone();
        tokio::spawn(async move { link.admitted().await })
    };
    sleep(Duration::from_secs(3600)).await;
    assert!(!waiting.is_finished());
    let status = link.status();
    assert_eq!((status.health.state, status.waiting), (LinkState::Held, 1));
    assert_eq!(link.why_waiting(), Wait::Held);
    watch.mark_unchanged();
    link.hold(false);
    assert_eq!(watch.borrow_and_update().state, LinkState::Unknown);
    waiting.await.unwrap();
    assert_eq!(link.status().counts.dials, 1);
}

#[tokio::test(start_paused = true)]
async fn the_watch_is_still_while_nothing_changes() {
    let link = link(0.0, false);
    let mut watch = link.watch();
    for _ in 0..100 {
        let mut pass = link.admitted().await;
        pass.dialled();
        assert_eq!(link.status().sockets, 1);
        pass.got_in();
        if watch.has_changed().unwrap() {
            assert_eq!(watch.borrow_and_update().state, LinkState::Up);
        }
    }
    watch.mark_unchanged();
    link.admitted().await.got_in();
    assert!(!watch.has_changed().unwrap());
    assert_eq!(link.status().sockets, 0);
}
