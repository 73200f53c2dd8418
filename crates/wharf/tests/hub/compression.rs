//! What is published, to connections that have agreed on different compression.

use wharf::hub::Hub;
use wharf::{Client, ClientConfig, Compression, HttpServer, Message, Server, ServerConfig};

use crate::subscribe;
use crate::support::{Site, within};

#[tokio::test]
async fn each_gets_what_was_published_however_it_is_compressed() {
    let http = HttpServer::bind("127.0.0.1:0").await.unwrap();
    let offers =
        Compression::default().threshold(0).server_context_takeover(true).client_context_takeover(true);
    let server = Server::with_hub(ServerConfig::default().compression(offers.clone()), Hub::new());
    server.mount([&http]).unwrap();
    let site = Site::of(http, server);
    let without_takeover = offers.clone().server_context_takeover(false).client_context_takeover(false);
    let small_window = without_takeover.clone().server_max_window_bits(9);
    let mut clients = Vec::new();
    for compression in
        [None, Some(offers), Some(without_takeover.clone()), Some(without_takeover), Some(small_window)]
    {
        let client = Client::new(ClientConfig::default().compression(compression)).unwrap();
        let url = format!("ws://{}/", site.http.local_addr());
        let dialing = tokio::spawn(async move { client.connect(url).await });
        let connection = site.request().await.accept(wharf::Accept::new()).unwrap();
        site.connected().await;
        clients.push(within(dialing).await.unwrap().unwrap());
        subscribe(&connection, "a.*").await;
        subscribe(&connection, "a.1").await;
    }
    let agreed: Vec<_> = clients.iter().map(|client| format!("{:?}", client.extensions())).collect();
    assert_eq!(clients[0].extensions(), []);
    assert!(agreed[1] != agreed[2] && agreed[2] == agreed[3] && agreed[3] != agreed[4], "{agreed:?}");
    let long = "so long that it is worth to be compressed, ".repeat(500);
    let messages = ["short", &long, "", "a second one that is short"];
    for round in 0..3 {
        for (number, message) in messages.iter().enumerate() {
            let topic = if number % 3 == round { "a.2" } else { "a.1" };
            site.server.publish(topic, *message).unwrap();
        }
        site.server.publish("a.1", vec![7; 3000]).unwrap();
    }
    for client in &clients {
        for _ in 0..3 {
            for message in messages {
                assert_eq!(within(client.recv()).await, Some(Message::from(message)));
            }
            assert_eq!(within(client.recv()).await, Some(Message::from(vec![7; 3000])));
        }
    }
}
