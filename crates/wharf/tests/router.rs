//! Requests by path and subprotocol (section by section as the reference's router has them).

mod support;

use std::pin::pin;

use support::*;
use tokio::sync::mpsc;
use wharf::{Accept, Connection, Rejection, RouteProtocol, Router, RouterError, RouterRequest, ServerConfig};

/// A site whose requests go to a router, and what the router's handlers say.
struct Routed {
    site: Site,
    router: Router,
    said: mpsc::UnboundedSender<String>,
    heard: mpsc::UnboundedReceiver<String>,
}

impl Routed {
    async fn open() -> Self {
        let (said, heard) = mpsc::unbounded_channel();
        let (site, router) = (Site::open().await, Router::new());
        router.attach(site.server.clone()).expect("nobody else takes requests");
        Self { site, router, said, heard }
    }

    /// Mounts a handler that accepts and says `name` and the subprotocol that it was found by.
    fn mount(&self, name: &'static str, path: &str, protocol: impl Into<RouteProtocol>) {
        let said = self.said.clone();
        let handler = move |request: RouterRequest| {
            let said = said.clone();
            async move {
                let protocol = request.protocol().unwrap_or("-").to_owned();
                request.accept(Accept::new()).expect("undecided");
                said.send(format!("{name} {protocol}")).expect("the test listens");
            }
        };
        self.router.mount(path, protocol, handler).expect("a free place");
    }

    /// What a request gets: its status and reason, and the subprotocol where it is accepted.
    async fn ask(&self, target: &str, protocols: &str) -> Head {
        let lines = if protocols.is_empty() {
            String::new()
        } else {
            format!("Sec-WebSocket-Protocol: {protocols}\r\n")
        };
        let mut client = self.site.client().await;
        client.write(handshake_to(target, &lines)).await;
        client.head().await
    }

    /// Which handler a request goes to, and the subprotocol that its client is told.
    async fn goes_to(&mut self, target: &str, protocols: &str) -> (String, Option<String>) {
        let head = self.ask(target, protocols).await;
        assert_eq!(head.status(), 101, "{target} {protocols}: {head:?}");
        let told = head.field("sec-websocket-protocol").map(ToOwned::to_owned);
        (within(self.heard.recv()).await.expect("a handler ran"), told)
    }

    async fn goes_nowhere(&self, target: &str, protocols: &str) {
        let head = self.ask(target, protocols).await;
        assert_eq!(head.status(), 404, "{target} {protocols}");
        let reason = head.field("x-websocket-reject-reason");
        assert_eq!(reason, Some("No handler is available for the given request."));
    }
}

/// Accepts and lets go.
async fn accept(request: RouterRequest) {
    request.accept(Accept::new()).expect("undecided");
}

#[tokio::test]
async fn t1_1_an_attached_router_takes_requests_and_after_its_detachment_nobody_does() {
    let http = wharf::HttpServer::bind("127.0.0.1:0").await.unwrap();
    let server = wharf::Server::new(ServerConfig::default());
    server.mount([&http]).unwrap();
    let router = Router::new();
    router.mount("*", "*", accept).unwrap();
    router.attach(server).unwrap();
    let mut client = Client::connect(&http).await;
    client.write(handshake("")).await;
    assert_eq!(client.head().await.status(), 101);

    within(router.detach()).await.unwrap();
    let mut late = Client::connect(&http).await;
    late.write(handshake("")).await;
    let head = late.head().await;
    let reason = head.field("x-websocket-reject-reason");
    assert_eq!((head.status(), reason), (404, Some("No handler is configured to accept the connection.")));
    client.send([ping("still there")]).await;
    assert_eq!(client.frame().await, pong("still there"));
}

#[tokio::test]
async fn t1_1_a_detached_router_leaves_requests_to_the_events_and_can_be_attached_again() {
    let mut routed = Routed::open().await;
    routed.mount("all", "*", "*");
    within(routed.router.detach()).await.unwrap();
    let (mut client, request) = routed.site.ask("").await;
    request.accept(Accept::new()).unwrap();
    assert_eq!(client.head().await.status(), 101);
    routed.router.attach(routed.site.server.clone()).unwrap();
    assert_eq!(routed.goes_to("/", "").await.0, "all -");
}

#[tokio::test]
async fn t1_2_detaching_twice_attaching_twice_and_a_second_router_are_errors() {
    let routed = Routed::open().await;
    let server = || routed.site.server.clone();
    assert_eq!(routed.router.attach(server()), Err(RouterError::AlreadyAttached));
    let second = Router::new();
    assert_eq!(second.attach(server()), Err(RouterError::ServerTaken));
    within(routed.router.detach()).await.unwrap();
    assert_eq!(within(routed.router.detach()).await, Err(RouterError::NotAttached));
    assert_eq!(second.attach(server()), Ok(()));
}

#[tokio::test]
async fn a_shut_down_server_lets_go_of_its_router() {
    let routed = Routed::open().await;
    let second = (long(), wharf::CloseCode::NORMAL);
    within(routed.site.server.shut_down(second.1, second.0)).await;
    within(async {
        while routed.router.attach(routed.site.server.clone()).is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

fn long() -> std::time::Duration {
    std::time::Duration::from_secs(5)
}

#[tokio::test]
async fn t2_1_a_literal_path_takes_requests_for_exactly_it() {
    let mut routed = Routed::open().await;
    routed.mount("literal", "/a.b", "");
    assert_eq!(routed.goes_to("/a.b", "").await.0, "literal -");
    for target in ["/aXb", "/a.b/", "/a", "/a.bc", "/"] {
        routed.goes_nowhere(target, "").await;
    }
}

#[tokio::test]
async fn t2_2_a_star_takes_requests_for_every_path() {
    let mut routed = Routed::open().await;
    routed.mount("all", "*", "");
    for target in ["/", "/a", "/a/b/?c"] {
        assert_eq!(routed.goes_to(target, "").await.0, "all -");
    }
}

#[tokio::test]
async fn t2_3_a_pattern_takes_requests_and_tells_what_its_names_stand_for() {
    let routed = Routed::open().await;
    let (said, mut heard) = mpsc::unbounded_channel();
    let handler = move |request: RouterRequest| {
        let said = said.clone();
        async move {
            let all: Vec<_> = request.parameters().map(|(name, value)| format!("{name}={value}")).collect();
            assert_eq!(request.parameter("room"), Some("r%20d"));
            assert_eq!(request.parameter("nobody"), None);
            said.send(all.join(" ")).expect("the test listens");
            request.accept(Accept::new()).expect("undecided");
        }
    };
    routed.router.mount("/chat/{room}/{*rest}", "", handler).unwrap();
    assert_eq!(routed.ask("/chat/r%20d/a/b?x=1", "").await.status(), 101);
    assert_eq!(within(heard.recv()).await.as_deref(), Some("room=r%20d rest=a/b"));
    routed.goes_nowhere("/chat/red", "").await;
}

#[tokio::test]
async fn t2_4_a_path_or_a_protocol_that_no_request_could_have_is_an_error() {
    let router = Router::new();
    for path in ["", "chat", "/a?b", "/{", "/{*rest}/x"] {
        assert!(matches!(router.mount(path, "*", accept), Err(RouterError::Path(_))), "{path}");
    }
    for protocol in ["a b", "a,b", "é", "a/b"] {
        let error = router.mount("/", protocol, accept).unwrap_err();
        assert!(error.to_string().contains(protocol), "{error}");
    }
}

#[tokio::test]
async fn t3_1_queries_do_not_count_and_case_encoding_and_a_trailing_slash_do() {
    let mut routed = Routed::open().await;
    routed.mount("it", "/Chat%20room", "");
    for target in ["/Chat%20room", "/Chat%20room?a=/b", "/Chat%20room?", "http://x/Chat%20room?q"] {
        assert_eq!(routed.goes_to(target, "").await.0, "it -", "{target}");
    }
    for target in ["/chat%20room", "/Chat%20room/", "/Chat%20%72oom", "/Chat+room"] {
        routed.goes_nowhere(target, "").await;
    }
}

#[tokio::test]
async fn t4_1_a_protocol_is_found_in_any_case_and_answered_in_the_clients() {
    let mut routed = Routed::open().await;
    routed.mount("named", "/", "Chat");
    assert_eq!(routed.goes_to("/", "cHAT").await, ("named chat".to_owned(), Some("cHAT".to_owned())));
    routed.goes_nowhere("/", "").await;
    routed.goes_nowhere("/", "chats").await;
}

#[tokio::test]
async fn t4_2_a_star_takes_requests_with_and_without_protocols() {
    let mut routed = Routed::open().await;
    routed.mount("any", "/", "*");
    assert_eq!(routed.goes_to("/", "").await, ("any -".to_owned(), None));
    assert_eq!(routed.goes_to("/", "One, two").await, ("any one".to_owned(), Some("One".to_owned())));
}

#[tokio::test]
async fn t4_3_no_protocol_takes_only_requests_without() {
    let mut routed = Routed::open().await;
    routed.mount("none", "/", None);
    assert_eq!(routed.goes_to("/", "").await, ("none -".to_owned(), None));
    routed.goes_nowhere("/", "chat").await;
}

#[tokio::test]
async fn t5_1_the_same_path_and_protocol_twice_is_an_error_in_any_case() {
    let router = Router::new();
    router.mount("/{a}", "Chat", accept).unwrap();
    let error = router.mount("/{a}", "cHAT", accept).unwrap_err();
    let protocol = RouteProtocol::Named("chat".to_owned());
    assert_eq!(error, RouterError::AlreadyMounted { path: "/{a}".to_owned(), protocol });
    router.mount("/{a}", "*", accept).unwrap();
    router.mount("/{a}", "", accept).unwrap();
    assert!(router.mount("/{a}", None, accept).is_err());
}

#[tokio::test]
async fn t5_2_an_unmounted_route_takes_nothing_more_and_an_unknown_one_is_an_error() {
    let mut routed = Routed::open().await;
    routed.mount("one", "/", "one");
    assert_eq!(routed.goes_to("/", "one").await.0, "one one");
    let unknown = routed.router.unmount("/", "two").unwrap_err();
    let protocol = RouteProtocol::Named("two".to_owned());
    assert_eq!(unknown, RouterError::NotMounted { path: "/".to_owned(), protocol });
    routed.router.unmount("/", "ONE").unwrap();
    routed.goes_nowhere("/", "one").await;
    assert!(routed.router.unmount("/", "one").is_err());
}

#[tokio::test]
async fn t5_3_a_route_without_protocol_can_be_unmounted() {
    let mut routed = Routed::open().await;
    routed.mount("none", "/", None);
    assert_eq!(routed.goes_to("/", "").await.0, "none -");
    routed.router.unmount("/", None).unwrap();
    routed.goes_nowhere("/", "").await;
}

#[tokio::test]
async fn t6_1_a_star_gets_the_first_protocol_before_a_later_one_finds_its_name() {
    let mut routed = Routed::open().await;
    routed.mount("named", "/", "one");
    routed.mount("any", "/", "*");
    assert_eq!(routed.goes_to("/", "two, one").await.0, "any two");
    assert_eq!(routed.goes_to("/", "one, two").await.0, "named one");
}

#[tokio::test]
async fn t6_2_an_earlier_protocol_with_a_later_handler_wins() {
    let mut routed = Routed::open().await;
    routed.mount("chat", "/", "chat");
    routed.mount("any", "/", "any");
    assert_eq!(routed.goes_to("/", "any, chat").await, ("any any".to_owned(), Some("any".to_owned())));
}

#[tokio::test]
async fn t6_2_of_two_that_fit_the_same_protocol_the_earlier_mounted_wins() {
    let mut routed = Routed::open().await;
    routed.mount("pattern", "/{x}", "*");
    routed.mount("literal", "/a", "*");
    assert_eq!(routed.goes_to("/a", "").await.0, "pattern -");
}

#[tokio::test]
async fn t7_1_what_fits_no_route_gets_404() {
    Routed::open().await.goes_nowhere("/", "").await;
}

#[tokio::test]
async fn t8_1_the_router_request_has_all_of_the_request_and_accepts_with_the_matched_protocol() {
    let routed = Routed::open().await;
    let (said, mut heard) = mpsc::unbounded_channel();
    let handler = move |request: RouterRequest| {
        let said = said.clone();
        async move {
            assert_eq!((request.host(), request.origin()), ("server.example.com:81", Some("http://o")));
            assert_eq!((request.resource(), request.path(), request.query()), ("/a?b", "/a", Some("b")));
            assert_eq!(request.requested_protocols(), ["one", "two"]);
            assert_eq!(request.requested_extensions()[0].name, "x-ext");
            assert_eq!(request.cookies().get("c"), Some("d"));
            assert_eq!(request.remote_address(), "9.9.9.9");
            assert_eq!(request.remote_addresses()[0], "9.9.9.9");
            assert!(request.socket_address().unwrap().ip().is_loopback());
            assert_eq!(request.websocket_version().number(), 13);
            assert_eq!(request.key(), Some("dGhlIHNhbXBsZSBub25jZQ=="));
            assert_eq!(request.http_request().method, "GET");
            assert_eq!(request.request().id(), request.id());
            assert_eq!(request.protocol(), Some("two"));
            let accept = Accept::new().origin("http://o").protocol("one");
            said.send(request.accept(accept)).expect("the test listens");
        }
    };
    routed.router.mount("/a", "Two", handler).unwrap();
    let mut client = routed.site.client().await;
    let lines = "Origin: http://o\r\nSec-WebSocket-Protocol: one, TWO\r\nSec-WebSocket-Extensions: x-ext\r\n\
                 Cookie: c=d\r\nX-Forwarded-For: 9.9.9.9\r\n";
    client.write(handshake_to("/a?b", lines)).await;
    let answer = client.head().await;
    assert_eq!((answer.status(), answer.field("sec-websocket-protocol")), (101, Some("TWO")));
    assert_eq!(answer.field("origin"), Some("http://o"));
    let connection: Connection = within(heard.recv()).await.unwrap().unwrap();
    assert_eq!(connection.protocol(), Some("two"));
}

#[tokio::test]
async fn t8_1_a_router_request_can_be_rejected_and_is_when_it_is_dropped() {
    let routed = Routed::open().await;
    let reject = |request: RouterRequest| async move {
        request.reject(Rejection::new(410).reason("gone")).expect("undecided");
    };
    routed.router.mount("/rejected", "", reject).unwrap();
    routed.router.mount("/dropped", "", |_| async {}).unwrap();
    let head = routed.ask("/rejected", "").await;
    assert_eq!((head.status(), head.field("x-websocket-reject-reason")), (410, Some("gone")));
    assert_eq!(routed.ask("/dropped", "").await.status(), 403);
}

#[tokio::test]
async fn t9_1_the_same_request_is_matched_alike_however_often_it_comes() {
    let mut routed = Routed::open().await;
    routed.mount("pattern", "/{x}/y", "*");
    for _ in 0..5 {
        assert_eq!(routed.goes_to("/a/y", "p").await.0, "pattern p");
        routed.goes_nowhere("/a/z", "p").await;
    }
}

#[tokio::test]
async fn a_handler_that_panics_or_never_decides_harms_its_own_request_alone() {
    let mut routed = Routed::open().await;
    routed
        .router
        .mount("/panics", "", |request| async move {
            let _request = request;
            panic!("in a handler of the user's");
        })
        .unwrap();
    routed
        .router
        .mount("/hangs", "", |request| async move {
            let _request = request;
            std::future::pending::<()>().await;
        })
        .unwrap();
    routed.mount("well", "/well", "");
    assert_eq!(routed.ask("/panics", "").await.status(), 403);
    let mut hanging = routed.site.client().await;
    hanging.write(handshake_to("/hangs", "")).await;
    assert_eq!(routed.goes_to("/well", "").await.0, "well -");
    assert!(waits(pin!(hanging.head())));
}

#[tokio::test]
async fn an_event_loop_of_ones_own_can_route_single_requests() {
    let site = Site::open().await;
    let router = Router::new();
    router.mount("/", "", accept).unwrap();
    let (mut client, request) = site.ask("").await;
    router.route(request);
    assert_eq!(client.head().await.status(), 101);
}
