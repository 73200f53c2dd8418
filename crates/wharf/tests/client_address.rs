//! Who the client is, from what the proxies on its way say: `X-Forwarded-For`, `Forwarded`, and from whom.

mod support;

use support::Site;
use wharf::{Accept, ClientAddressHeader, Server, ServerConfig};

const BOTH: &str = "X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6, for=1.1.1.1;proto=https\r\n\
                    Forwarded: for=\"127.0.0.2:80\"\r\nX-Forwarded-For: 2.2.2.2, 127.0.0.2\r\n";

fn behind(networks: &[&str]) -> ServerConfig {
    let networks = networks.iter().map(|network| network.parse().expect("a network"));
    ServerConfig::default().trusted_proxies(networks.collect())
}

#[tokio::test]
async fn of_the_two_headers_only_the_one_counts_that_the_proxies_write() {
    for (header, client, other) in [
        (ClientAddressHeader::Forwarded, "1.1.1.1", "X-Forwarded-For: 9.9.9.9\r\n"),
        (ClientAddressHeader::XForwardedFor, "2.2.2.2", "Forwarded: for=9.9.9.9\r\n"),
    ] {
        let site = Site::with(behind(&["127.0.0.0/8"]).client_address_header(header)).await;
        let (_other_client, request) = site.ask(other).await;
        assert_eq!(request.remote_addresses(), ["127.0.0.1"], "{other}");

        let (_client, request) = site.ask(BOTH).await;
        let addresses = ["6.6.6.6", client, "127.0.0.2", "127.0.0.1"];
        assert_eq!(request.remote_address(), client);
        assert_eq!(request.remote_addresses(), addresses);
        let connection = request.accept(Accept::new()).unwrap();
        assert_eq!(connection.remote_address(), client);
        assert_eq!(connection.remote_addresses(), addresses);
    }
}

#[tokio::test]
async fn forwarded_of_a_peer_that_is_not_named_does_not_count() {
    let config = behind(&["10.0.0.0/8"]).client_address_header(ClientAddressHeader::Forwarded);
    let (_client, request) = Site::with(config).await.ask(BOTH).await;
    assert_eq!((request.remote_address(), request.remote_addresses().len()), ("127.0.0.1", 1));
}

#[tokio::test]
async fn a_header_that_cannot_be_read_leaves_the_proxys_address_and_breaks_no_handshake() {
    let forwarded = behind(&["127.0.0.1"]).client_address_header(ClientAddressHeader::Forwarded);
    let site = Site::with(forwarded).await;
    for value in
        ["for=\"", "\u{e9}", ";;;", "for=1.1.1.1;for=2.2.2.2", &"for=\"\\".repeat(500), &",".repeat(4000)]
    {
        let (_client, request) = site.ask(&format!("Forwarded: {value}\r\n")).await;
        assert_eq!(request.remote_address(), "127.0.0.1", "{value}");
    }
    let site = Site::with(behind(&["127.0.0.1"])).await;
    for value in ["x", "1.1.1.1 2.2.2.2", "\u{e9}", "256.1.1.1", "1.1.1.1, garbage"] {
        let (_client, request) = site.ask(&format!("X-Forwarded-For: {value}\r\n")).await;
        assert_eq!(request.remote_address(), "127.0.0.1", "{value}");
    }
}

#[tokio::test]
async fn forwarded_without_any_named_proxy_is_not_mounted() {
    let http = wharf::HttpServer::bind("127.0.0.1:0").await.unwrap();
    let config = ServerConfig::default().client_address_header(ClientAddressHeader::Forwarded);
    let error = Server::new(config).mount([&http]).unwrap_err();
    assert!(error.to_string().contains("trusted_proxies is empty"), "{error}");
}
