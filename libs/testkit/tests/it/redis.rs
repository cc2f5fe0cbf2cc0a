use ccm_testkit::{RedisServer, TempFolder, redis_url};
use std::{
    io::{Read, Write},
    net::TcpStream,
};

fn ask(port: u16, command: &str) -> std::io::Result<String> {
    let mut socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.write_all(format!("{command}\r\nQUIT\r\n").as_bytes())?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn it_comes_back_empty_on_the_same_port() {
    let folder = TempFolder::new().unwrap();
    let mut server = RedisServer::start_private(folder.path()).unwrap();
    let port = server.port();
    for end in [RedisServer::stop, RedisServer::kill] {
        assert!(ask(port, "SET key value").unwrap().starts_with("+OK"));
        assert!(ask(port, "GET key").unwrap().contains("value"));
        end(&mut server).unwrap();
        ask(port, "PING").unwrap_err();
        server.start_again().unwrap();
        assert_eq!(server.port(), port);
        assert!(
            ask(port, "GET key").unwrap().starts_with("$-1"),
            "nothing is kept"
        );
    }
}

#[test]
fn tests_share_one_server() {
    let url = redis_url().unwrap();
    let port = url
        .rsplit(':')
        .next()
        .unwrap()
        .trim_end_matches('/')
        .parse()
        .unwrap();
    assert!(ask(port, "PING").unwrap().starts_with("+PONG"));
    assert_eq!(redis_url().unwrap(), url);
}
