//! Clients of TLS that do not finish what they begin.

use super::*;

/// Clients that do not get to a request: they send nothing, one byte, or the head of a record that never comes.
fn crowd(server: &TestServer) -> Vec<TcpStream> {
    let begin = |number: usize| [&[][..], &[0x16], &[0x16, 3, 1, 0x20, 0, 1]][number % 3];
    let all = (0..40).map(|number| (number, plain(server)));
    all.map(|(number, mut stream)| {
        stream.write_all(begin(number)).unwrap_or_default();
        stream
    })
    .collect()
}

/// A connection from an address of this machine.
fn from(ip: [u8; 4], server: &TestServer) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((ip, 0)).into()).unwrap();
    socket.connect(&address(server).into()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.into()
}

#[test]
fn clients_that_do_not_finish_keep_nobody_out() {
    let files = Files::new();
    let server = files
        .server()
        .setting("server.max_connections", "8")
        .setting("server.max_connections_per_address", "8")
        .setting("server.request_timeout_s", "600")
        .start();
    let waves: Vec<_> = (0..24)
        .map(|_wave| {
            let crowd = crowd(&server);
            wait_until("a client of the same address gets in", || {
                let answer = server.admin().try_send("GET", "backups", None).ok()?;
                (answer.status == 200).then_some(())
            });
            crowd
        })
        .collect();
    let path = server.data_dir().join("coffer.sock");
    let mut socket = UnixStream::connect(path).unwrap();
    assert!(ask(&mut socket, HEALTH).starts_with("HTTP/1.1 200"));
    let mut other = files.by_tls(from([127, 0, 0, 2], &server), DEFAULT_VERSIONS);
    assert!(ask(&mut other, HEALTH).starts_with("HTTP/1.1 200"));
    drop(waves);
}

/// Whether the server ends the connection.
fn ends(stream: &mut TcpStream) -> bool {
    let read = stream.read_to_end(&mut Vec::new());
    read.is_ok() || read.is_err_and(|it| it.kind() == ErrorKind::ConnectionReset)
}

#[test]
fn clients_that_do_not_finish_end_with_the_time_of_a_request() {
    let files = Files::new();
    let server = files.server().setting("server.request_timeout_s", "1").start();
    for mut stream in crowd(&server) {
        assert!(ends(&mut stream), "one that does not finish stays open");
    }
}

#[test]
fn a_client_that_sends_too_much_before_it_is_understood_ends() {
    let files = Files::new();
    let server = files.server().setting("server.request_timeout_s", "600").start();
    let mut stream = plain(&server);
    // The head of a message of 64 KiB, in records of 16 KiB, of which three come.
    let mut sent = stream.write_all(&[0x16, 3, 1, 0x3f, 0xf0, 1, 0, 0xff, 0xf0]);
    for _piece in 0..3 {
        sent = sent.and_then(|()| stream.write_all(&[0; 0x3fec]));
        sent = sent.and_then(|()| stream.write_all(&[0x16, 3, 1, 0x3f, 0xec]));
    }
    assert!(ends(&mut stream), "it stays open; {sent:?}");
}

#[test]
fn a_download_that_nobody_reads_ends() {
    let files = Files::new();
    let tree = files.path("tree");
    std::fs::create_dir(&tree).unwrap();
    let mut noise = vec![0; 16 << 20];
    getrandom::fill(&mut noise).unwrap();
    write_file(&tree.join("noise"), noise);
    let server = files
        .server()
        .instance_directory("tree", &tree)
        .setting("server.send_timeout_s", "2")
        .setting("limits.downloads", "1")
        .start();
    let admin = server.admin();
    let archive = format!("backups/{}/archive", id_of(&admin.full("tree")));
    let mut unread = files.connect(&server);
    let (path, secret) = (format!("/v1.0/{PROJECT}/{archive}"), server.admin_secret());
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Auth-Token: {secret}\r\n\r\n");
    // It has begun, and takes the only place.
    assert!(ask(&mut unread, &head).starts_with("HTTP/1.1 200"));
    let whole = wait_until("the download ends", || {
        let answer = admin.get(&archive);
        (answer.status != 413).then(|| answer.with_status(200))
    });
    assert!(whole.bytes.len() > 16 << 20);
    let mut rest = Vec::new();
    let read = unread.read_to_end(&mut rest);
    assert!(rest.len() < whole.bytes.len(), "all of it came: {read:?}");
}
