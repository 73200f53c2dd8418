//! What a server listens on: TCP, Unix sockets with their files, sockets that were open before, and several of them at once.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "what the tests share is part of them")]

#[cfg(feature = "tls")]
#[path = "support/certificates.rs"]
mod certificates;
mod support;

use std::fs;
use std::io::{self, ErrorKind};
use std::net::{self, SocketAddr};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream as BlockingStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use support::{handshake, text, within};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use wharf::{
    Accept, Context, Event, Handler, HttpServer, HttpServerBuilder, ListenError, Listener, LocalAddress,
    MessageRef, MountError, Server, ServerConfig,
};

/// A folder for sockets, with a short name, since a socket's path has room for about a hundred bytes.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("wharf-{}-{number}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("socket")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn localhost() -> Listener {
    Listener::tcp(([127, 0, 0, 1], 0))
}

struct Echo;

impl Handler for Echo {
    fn message(&mut self, context: &mut Context<'_>, message: MessageRef<'_>) {
        context.send(message).unwrap();
    }
}

/// Echoes on these listeners.
async fn echoing(builder: HttpServerBuilder, listeners: impl IntoIterator<Item = Listener>) -> HttpServer {
    let http = builder.listen(listeners).await.unwrap();
    let server = Server::mounted(ServerConfig::default(), [&http]).unwrap();
    tokio::spawn(async move {
        while let Some(event) = server.next_event().await {
            if let Event::Request(request) = event {
                request.accept_with(Accept::new(), Echo).unwrap();
            }
        }
    });
    http
}

async fn echoing_on(listener: Listener) -> HttpServer {
    echoing(HttpServer::builder(), [listener]).await
}

async fn refused(listener: Listener) -> io::Error {
    HttpServer::builder().listen([listener]).await.unwrap_err()
}

async fn echoes(stream: impl AsyncRead + AsyncWrite + Unpin) {
    echoes_after(stream, handshake("")).await;
}

/// Sends this request, and a message once it has a head that says 101.
async fn echoes_after(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: String) {
    within(async {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", head.escape_ascii());
        stream.write_all(&text("hello").masked()).await.unwrap();
        let mut echo = [0; 7];
        stream.read_exact(&mut echo).await.unwrap();
        assert_eq!(echo, *b"\x81\x05hello");
    })
    .await;
}

async fn echoes_on(address: &LocalAddress) {
    match address {
        LocalAddress::Tcp(addr) => echoes(TcpStream::connect(addr).await.unwrap()).await,
        LocalAddress::Unix(path) => echoes(UnixStream::connect(path).await.unwrap()).await,
        address => panic!("not listened on: {address}"),
    }
}

fn port_of(http: &HttpServer) -> u16 {
    http.local_addr().port()
}

fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

#[tokio::test]
async fn tcp_of_both_versions_of_ip_and_a_unix_socket_are_served_at_once() {
    let folder = Folder::new();
    let ipv6 = Listener::tcp("[::1]:0".parse::<SocketAddr>().unwrap());
    let listeners = [Listener::unix(folder.socket()), localhost(), ipv6];
    let http = echoing(HttpServer::builder(), listeners).await;
    let [unix, ipv4, ipv6] = http.local_addresses() else { panic!("{http:?}") };
    assert_eq!(unix.to_string(), format!("unix:{}", folder.socket().display()));
    assert_eq!(ipv4.to_string(), format!("127.0.0.1:{}", port_of(&http)));
    assert!(ipv6.to_string().starts_with("[::1]:"), "{ipv6}");
    assert_ne!((ipv4.tcp().unwrap().port(), ipv6.tcp().unwrap().port()), (0, 0));
    assert_eq!(http.local_addr(), ipv4.tcp().unwrap());
    for address in http.local_addresses() {
        echoes_on(address).await;
    }
}

#[tokio::test]
async fn a_request_on_a_unix_socket_has_no_socket_address_and_its_server_is_named_by_the_path() {
    let folder = Folder::new();
    let http = HttpServer::builder().listen([Listener::unix(folder.socket())]).await.unwrap();
    assert_eq!(http.local_addr(), SocketAddr::from(([0, 0, 0, 0], 0)));
    let server = Server::mounted(ServerConfig::default(), [&http]).unwrap();
    let error = server.mount([&http]).unwrap_err();
    assert_eq!(error, MountError::AlreadyMounted(LocalAddress::Unix(folder.socket())));
    assert!(error.to_string().contains(&format!("unix:{}", folder.socket().display())), "{error}");

    let mut client = UnixStream::connect(folder.socket()).await.unwrap();
    client.write_all(handshake("").as_bytes()).await.unwrap();
    let event = within(server.next_event()).await;
    let Some(Event::Request(request)) = event else { panic!("{event:?}") };
    assert_eq!(request.socket_address(), None);
}

#[tokio::test]
async fn a_handshake_that_is_not_the_first_request_of_a_unix_socket_is_served_too() {
    let folder = Folder::new();
    let _http = echoing_on(Listener::unix(folder.socket())).await;
    let mut stream = UnixStream::connect(folder.socket()).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    within(async {
        while !answer.ends_with(b"\r\n\r\nnot found\n") {
            answer.push(stream.read_u8().await.unwrap());
        }
    })
    .await;
    echoes(stream).await;
    // Nor has the short way one that tells of a body.
    let with_body = handshake("Content-Length: 0\r\n");
    echoes_after(UnixStream::connect(folder.socket()).await.unwrap(), with_body).await;
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn tls_is_spoken_over_a_unix_socket() {
    use std::sync::Arc;
    use tokio_rustls::TlsConnector;
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
    use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

    let folder = Folder::new();
    let certificates = certificates::Certificates::of_localhost();
    let proxied = folder.0.join("proxied");
    let listeners = [Listener::unix(folder.socket()), Listener::unix(&proxied).proxy_protocol(true)];
    let _http = echoing(HttpServer::builder().tls(certificates.server()), listeners).await;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificates.root.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    for lines in ["", "Content-Length: 0\r\n"] {
        let plain = UnixStream::connect(folder.socket()).await.unwrap();
        let mut behind_a_header = UnixStream::connect(&proxied).await.unwrap();
        behind_a_header.write_all(OF_A_CLIENT.as_bytes()).await.unwrap();
        for stream in [plain, behind_a_header] {
            let name = ServerName::try_from("localhost").unwrap();
            let secured = within(connector.connect(name, stream)).await.unwrap();
            echoes_after(secured, handshake(lines)).await;
        }
    }
}

#[tokio::test]
async fn ipv6_alone_refuses_what_both_would_take() {
    // Of IPv4, written as IPv6: no other machine can come in.
    let mapped: SocketAddr = "[::ffff:127.0.0.1]:0".parse().unwrap();
    let http = echoing_on(Listener::tcp(mapped).only_ipv6(false)).await;
    echoes(TcpStream::connect(("127.0.0.1", port_of(&http))).await.unwrap()).await;
    let error = refused(Listener::tcp(mapped).only_ipv6(true)).await;
    assert!(error.to_string().starts_with("cannot listen on [::ffff:127.0.0.1]:0: "), "{error}");
    let alone = Listener::tcp("[::1]:0".parse::<SocketAddr>().unwrap()).only_ipv6(true);
    echoes_on(&echoing_on(alone).await.local_addresses()[0]).await;
}

#[tokio::test]
async fn sockets_that_were_open_before_are_served_and_the_file_of_one_stays() {
    let folder = Folder::new();
    let tcp = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = tcp.local_addr().unwrap();
    let unix = UnixListener::bind(folder.socket()).unwrap();
    let http = echoing(HttpServer::builder(), [Listener::from(tcp), Listener::from(unix)]).await;
    assert_eq!(http.local_addresses(), [LocalAddress::Tcp(addr), LocalAddress::Unix(folder.socket())]);
    for address in http.local_addresses() {
        echoes_on(address).await;
    }
    within(http.shut_down()).await;
    assert!(exists(&folder.socket()));
}

#[tokio::test]
async fn who_waits_at_a_socket_that_others_have_too_is_served_by_those_once_its_server_has_closed() {
    let folder = Folder::new();
    let unix = UnixListener::bind(folder.socket()).unwrap();
    let tcp = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let again = [Listener::from(unix.try_clone().unwrap()), Listener::from(tcp.try_clone().unwrap())];
    let first = echoing(HttpServer::builder(), [Listener::from(unix), Listener::from(tcp)]).await;
    let addresses = first.local_addresses().to_vec();
    for address in &addresses {
        echoes_on(address).await;
    }
    within(first.shut_down()).await;
    let waiting = UnixStream::connect(folder.socket()).await.unwrap();
    let waiting_too = TcpStream::connect(addresses[1].tcp().unwrap()).await.unwrap();
    let _second = echoing(HttpServer::builder(), again).await;
    echoes(waiting).await;
    echoes(waiting_too).await;
}

#[tokio::test]
async fn a_server_that_waits_for_its_mount_takes_nobody_before() {
    for builder in [HttpServer::builder(), HttpServer::builder().workers(2)] {
        let http = builder.wait_for_mount(true).listen([localhost(), localhost()]).await.unwrap();
        let mut clients = Vec::new();
        for address in http.local_addresses() {
            let mut client = TcpStream::connect(address.tcp().unwrap()).await.unwrap();
            client.write_all(handshake("").as_bytes()).await.unwrap();
            clients.push(client);
        }
        let server = Server::new(ServerConfig::default().auto_accept_connections(true));
        server.mount([&http]).unwrap();
        for mut client in clients {
            let mut status = [0; 13];
            within(client.read_exact(&mut status)).await.unwrap();
            assert_eq!(status, *b"HTTP/1.1 101 ");
        }
    }
    let never_mounted = HttpServer::builder().wait_for_mount(true).bind("127.0.0.1:0").await.unwrap();
    within(never_mounted.shut_down()).await;
    assert!(TcpStream::connect(never_mounted.local_addr()).await.is_err());
}

#[tokio::test]
async fn workers_serve_every_kind_of_listener_and_a_file_goes_with_the_last_of_them() {
    let folder = Folder::new();
    let given = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listeners = [Listener::unix(folder.socket()), localhost(), Listener::from(given)];
    let http = echoing(HttpServer::builder().workers(3), listeners).await;
    for _ in 0..10 {
        for address in http.local_addresses() {
            echoes_on(address).await;
        }
    }
    within(http.shut_down()).await;
    assert!(!exists(&folder.socket()));
}

#[tokio::test]
async fn the_file_of_a_socket_that_nobody_listens_on_any_more_is_replaced() {
    let folder = Folder::new();
    drop(UnixListener::bind(folder.socket()).unwrap());
    assert!(exists(&folder.socket()), "as a crash leaves it");
    let http = echoing_on(Listener::unix(folder.socket())).await;
    echoes_on(&http.local_addresses()[0]).await;
}

#[tokio::test]
async fn a_socket_that_somebody_listens_on_is_in_use_and_stays_his() {
    let folder = Folder::new();
    let http = echoing_on(Listener::unix(folder.socket())).await;
    let error = refused(Listener::unix(folder.socket())).await;
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    let start = format!("cannot listen on unix:{}: ", folder.socket().display());
    assert!(error.to_string().starts_with(&start), "{error}");
    let told = error.get_ref().unwrap().downcast_ref::<ListenError>().unwrap();
    assert_eq!(told.address, LocalAddress::Unix(folder.socket()));
    echoes_on(&http.local_addresses()[0]).await;
}

#[tokio::test]
async fn a_socket_whose_queue_is_full_is_in_use_too() {
    let folder = Folder::new();
    let listener = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    listener.bind(&socket2::SockAddr::unix(folder.socket()).unwrap()).unwrap();
    listener.listen(0).unwrap();
    let _queued = BlockingStream::connect(folder.socket()).unwrap();
    let error = within(refused(Listener::unix(folder.socket()))).await;
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    assert!(exists(&folder.socket()));
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_an_error_and_left_alone() {
    let folder = Folder::new();
    fs::write(folder.socket(), "precious").unwrap();
    let error = refused(Listener::unix(folder.socket())).await;
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(error.to_string().ends_with(": there is a file that is no socket"), "{error}");
    assert_eq!(fs::read_to_string(folder.socket()).unwrap(), "precious");

    let link = folder.0.join("link");
    symlink(folder.socket(), &link).unwrap();
    assert_eq!(refused(Listener::unix(&link)).await.kind(), ErrorKind::AlreadyExists);
    assert!(exists(&link));
}

#[tokio::test]
async fn a_path_that_no_socket_can_have_is_an_error() {
    let folder = Folder::new();
    for (path, kind) in [
        (PathBuf::new(), ErrorKind::InvalidInput),
        (folder.0.join("a\0b"), ErrorKind::InvalidInput),
        (folder.0.join("a".repeat(200)), ErrorKind::InvalidInput),
        (folder.0.join("nowhere/socket"), ErrorKind::NotFound),
    ] {
        assert_eq!(refused(Listener::unix(path.clone())).await.kind(), kind, "{path:?}");
    }
}

#[tokio::test]
async fn a_sockets_file_keeps_others_out_unless_it_is_told_otherwise() {
    let folder = Folder::new();
    for (permissions, mode) in [(None, 0o660), (Some(0o600), 0o600), (Some(0o666), 0o666)] {
        let listener = Listener::unix(folder.socket());
        let listener = match permissions {
            Some(permissions) => listener.permissions(permissions),
            None => listener,
        };
        let http = HttpServer::builder().listen([listener]).await.unwrap();
        let metadata = fs::metadata(folder.socket()).unwrap();
        assert!(metadata.file_type().is_socket());
        assert_eq!(metadata.permissions().mode() & 0o7777, mode);
        within(http.shut_down()).await;
    }
}

#[tokio::test]
async fn a_sockets_file_is_removed_when_its_server_closes() {
    let folder = Folder::new();
    let http = echoing_on(Listener::unix(folder.socket())).await;
    assert!(exists(&folder.socket()));
    within(http.shut_down()).await;
    assert!(!exists(&folder.socket()));
    let http = HttpServer::builder().listen([Listener::unix(folder.socket())]).await.unwrap();
    drop(http);
    within(async {
        while exists(&folder.socket()) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_file_that_has_taken_the_place_of_a_sockets_own_is_not_removed() {
    let folder = Folder::new();
    let http = echoing_on(Listener::unix(folder.socket())).await;
    fs::remove_file(folder.socket()).unwrap();
    let successor = echoing_on(Listener::unix(folder.socket())).await;
    within(http.shut_down()).await;
    echoes_on(&successor.local_addresses()[0]).await;
}

#[tokio::test]
async fn a_port_is_shared_by_those_alone_who_all_say_so() {
    let sharing = |addr: SocketAddr| Listener::tcp(addr).reuse_port(true);
    let first = echoing_on(localhost().reuse_port(true)).await;
    let addr = first.local_addr();
    assert_eq!(refused(Listener::tcp(addr)).await.kind(), ErrorKind::AddrInUse);
    assert_eq!(HttpServer::bind(addr).await.unwrap_err().kind(), ErrorKind::AddrInUse);
    let with_workers = echoing(HttpServer::builder().workers(2), [sharing(addr)]).await;
    let second = echoing_on(sharing(addr)).await;
    for _ in 0..10 {
        echoes(TcpStream::connect(addr).await.unwrap()).await;
    }
    within(first.shut_down()).await;
    within(with_workers.shut_down()).await;
    echoes_on(&second.local_addresses()[0]).await;

    let alone = echoing_on(localhost()).await;
    assert_eq!(refused(sharing(alone.local_addr())).await.kind(), ErrorKind::AddrInUse);
}

#[tokio::test]
async fn one_that_cannot_be_had_is_named_and_keeps_none_of_the_others() {
    let folder = Folder::new();
    let taken = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    for builder in [HttpServer::builder(), HttpServer::builder().workers(2)] {
        let listeners = [Listener::unix(folder.socket()), Listener::tcp(addr)];
        let error = builder.listen(listeners).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(error.to_string().starts_with(&format!("cannot listen on {addr}: ")), "{error}");
        assert!(!exists(&folder.socket()));
    }
}

#[tokio::test]
async fn nothing_to_listen_on_is_an_error_and_so_is_an_option_without_meaning() {
    let nothing = HttpServer::builder().listen([] as [Listener; 0]).await.unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::InvalidInput);
    assert_eq!(nothing.to_string(), "there is nothing to listen on");
    let folder = Folder::new();
    let misplaced = refused(Listener::unix(folder.socket()).reuse_port(true)).await;
    assert_eq!(misplaced.kind(), ErrorKind::InvalidInput);
    let told = misplaced.get_ref().unwrap().downcast_ref::<ListenError>().unwrap();
    let option = told.source.get_ref().unwrap().downcast_ref::<wharf::ConfigError>().unwrap();
    assert_eq!(option.option, "reuse_port");
}

const OF_A_CLIENT: &str = "PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n";

#[tokio::test]
async fn behind_a_proxy_header_there_is_http_and_it_says_who_the_client_is() {
    let folder = Folder::new();
    let listeners =
        [localhost(), Listener::unix(folder.socket())].map(|listener| listener.proxy_protocol(true));
    let http = HttpServer::builder().listen(listeners).await.unwrap();
    let server = Server::mounted(ServerConfig::default(), [&http]).unwrap();
    let request = format!("{OF_A_CLIENT}{}", handshake(""));
    let mut tcp = TcpStream::connect(http.local_addr()).await.unwrap();
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut unix = UnixStream::connect(folder.socket()).await.unwrap();
    unix.write_all(request.as_bytes()).await.unwrap();
    for _ in 0..2 {
        let event = within(server.next_event()).await;
        let Some(Event::Request(request)) = event else { panic!("{event:?}") };
        assert_eq!(request.remote_address(), "192.0.2.7");
    }
}

#[tokio::test]
async fn where_a_proxy_header_is_expected_whoever_has_none_gets_no_answer() {
    let timeout = std::time::Duration::from_millis(50);
    let builder = HttpServer::builder().handshake_timeout(timeout);
    let http = echoing(builder, [localhost().proxy_protocol(true), localhost()]).await;
    for begin in [handshake(""), "PROXY".to_owned()] {
        let mut client = TcpStream::connect(http.local_addr()).await.unwrap();
        client.write_all(begin.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // An orderly end, or a reset where more was sent than was read.
        let _ = within(client.read_to_end(&mut answer)).await;
        assert_eq!(answer, b"");
    }
    // That of one listener is none of another's.
    echoes_on(&http.local_addresses()[1]).await;
}
