//! Each toxic against a server that echoes, and the stack's own parts behind a proxy.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};

use super::{Direction, Proxy, Toxic};
use crate::progress::on_stderr;
use crate::{Lifetime, Options, Part, Stack, StackDir};

const PATIENCE: Duration = Duration::from_secs(20);

fn stack(parts: &[Part]) -> Stack {
    let dir = StackDir::from_env().expect("a folder for the stack");
    let options = Options::new(dir, "toxic", Lifetime::Private).parts(parts);
    Stack::up(&options, &*on_stderr()).expect("the stack comes up")
}

/// The address of a server that sends back what it gets, for as long as the test lives.
fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || std::io::copy(&mut stream.try_clone()?, &mut &stream));
        }
    });
    address
}

fn connect(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// What comes back of `bytes` until all has, or the connection ends.
fn exchange(stream: &mut TcpStream, bytes: usize) -> std::io::Result<usize> {
    stream.write_all(&vec![b'x'; bytes])?;
    let (mut got, mut buffer) = (0, vec![0; bytes]);
    while got < bytes {
        match stream.read(&mut buffer)? {
            0 => break,
            more => got += more,
        }
    }
    Ok(got)
}

#[expect(clippy::disallowed_methods, reason = "a real network is slowed down, in real time")]
fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let outcome = work();
    (start.elapsed(), outcome)
}

#[test]
fn each_toxic_does_what_its_name_says_and_ends_when_it_is_removed() {
    let stack = stack(&[Part::Toxiproxy]);
    let proxy = stack.proxy(&echo()).unwrap();
    let open = &mut connect(&proxy);
    assert_eq!(exchange(open, 100).unwrap(), 100);

    let delay = Duration::from_millis(200);
    let late = proxy.add(Direction::Up, Toxic::Latency { delay, jitter: Duration::ZERO }).unwrap();
    let (took, got) = timed(|| exchange(open, 100).unwrap());
    assert!(got == 100 && took >= delay, "{took:?}: a connection that was open suffers too");
    proxy.remove(&late).unwrap();

    let narrow = proxy.add(Direction::Down, Toxic::Bandwidth(10)).unwrap();
    let (took, got) = timed(|| exchange(open, 5000).unwrap());
    assert!(got == 5000 && took >= Duration::from_millis(300), "{took:?}");
    proxy.remove(&narrow).unwrap();

    let slice = Toxic::Slice { bytes: 50, variation: 10, delay: Duration::from_millis(50) };
    let sliced = proxy.add(Direction::Down, slice).unwrap();
    open.write_all(&[b'x'; 200]).unwrap();
    let first = open.read(&mut [0; 200]).unwrap();
    assert!(first < 200, "{first} bytes came at once");
    open.read_exact(&mut vec![0; 200 - first]).unwrap();
    proxy.remove(&sliced).unwrap();

    let hole = proxy.add(Direction::Up, Toxic::BlackHole).unwrap();
    open.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let silent = exchange(open, 100).unwrap_err();
    assert!(matches!(silent.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{silent}");
    proxy.remove(&hole).unwrap();
    open.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(open.read(&mut [0; 8]).unwrap(), 0, "what was black-holed is closed, not resumed");

    let timeout = proxy.add(Direction::Up, Toxic::Timeout(Duration::from_millis(50))).unwrap();
    assert_eq!(exchange(&mut connect(&proxy), 100).unwrap(), 0, "closed without an answer");
    proxy.remove(&timeout).unwrap();

    let reset = proxy.add(Direction::Down, Toxic::Reset(Duration::ZERO)).unwrap();
    let refused = exchange(&mut connect(&proxy), 100).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionReset);
    proxy.remove(&reset).unwrap();

    let limit = proxy.add(Direction::Down, Toxic::Limit(10)).unwrap();
    assert_eq!(exchange(&mut connect(&proxy), 100).unwrap(), 10);
    proxy.remove(&limit).unwrap();
    assert_eq!(exchange(&mut connect(&proxy), 100).unwrap(), 100);
}

#[test]
fn a_proxy_that_is_down_refuses_and_one_that_is_cut_goes_on() {
    let stack = stack(&[Part::Toxiproxy]);
    let proxy = stack.proxy(&echo()).unwrap();
    let ended = |stream: &mut TcpStream| !matches!(stream.read(&mut [0; 8]), Ok(1..));

    let mut open = connect(&proxy);
    assert_eq!(exchange(&mut open, 10).unwrap(), 10);
    proxy.down().unwrap();
    assert!(ended(&mut open));
    assert_eq!(TcpStream::connect(proxy.address()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    proxy.up().unwrap();

    let mut open = connect(&proxy);
    assert_eq!(exchange(&mut open, 10).unwrap(), 10);
    proxy.cut().unwrap();
    assert!(ended(&mut open));
    assert_eq!(exchange(&mut connect(&proxy), 10).unwrap(), 10);

    let address = proxy.address().to_owned();
    drop(proxy);
    assert!(TcpStream::connect(address).is_err(), "a dropped proxy is gone");

    let lost = stack.proxy(&echo()).unwrap();
    stack.kill(Part::Toxiproxy).unwrap();
    stack.start(Part::Toxiproxy).unwrap();
    assert!(lost.down().unwrap_err().to_string().contains("404"), "one that was restarted knows no proxy");
}

#[test]
fn the_parts_are_reached_through_their_proxies_alone() {
    let stack = stack(&[&Part::DEFAULT[..], &[Part::Toxiproxy]].concat());
    for part in [Part::Timescale, Part::Redis] {
        let proxy = stack.through_toxiproxy(part).unwrap();
        let proxied = proxy.address_of(&stack.address(part).unwrap());
        part.check(&proxied, None, PATIENCE).unwrap();
        proxy.down().unwrap();
        part.check(&proxied, None, PATIENCE).unwrap_err();
        part.check(&stack.address(part).unwrap(), None, PATIENCE).unwrap();
    }

    let proxy = stack.through_toxiproxy(Part::Kafka).unwrap();
    let mut settings = stack.kafka_client().unwrap();
    let client: BaseConsumer = settings.set("bootstrap.servers", proxy.address()).create().unwrap();
    let metadata = client.fetch_metadata(None, PATIENCE).unwrap();
    let broker = &metadata.brokers()[0];
    assert_eq!(
        format!("{}:{}", broker.host(), broker.port()),
        proxy.address(),
        "the way leads on through the proxy"
    );
    proxy.down().unwrap();
    client.fetch_metadata(None, Duration::from_secs(1)).unwrap_err();
    Part::Kafka.check(&stack.kafka_bootstrap(), None, PATIENCE).unwrap();
}
