//! Which certificate, version and protocol a client gets, and what is no certificate.

use std::fs;

use tokio_rustls::rustls::SignatureScheme;
use wharf::{HttpServer, ServerTls, TlsError};

use crate::certificates::{Authority, Identity};
use crate::support::within;
use crate::{
    BOTH_VERSIONS, Files, Site, client, config_of, config_with, connected, echoes, provider, server_of, shown,
};

#[tokio::test]
async fn the_name_that_a_client_asks_for_chooses_the_certificate() {
    // RFC 6066 §3, RFC 9525 §6.3
    let authority = Authority::new();
    let first = authority.of(&["one.example", "uno.example"]);
    let wildcard = authority.of(&["*.two.example"]);
    let exact = authority.of(&["exact.two.example"]);
    let site = Site::open(server_of(&[&first, &wildcard, &exact])).await;
    for (name, expected) in [
        (Some("one.example"), &first),
        (Some("uno.example"), &first),
        (Some("a.two.example"), &wildcard),
        (Some("A.Two.EXAMPLE"), &wildcard),
        (Some("exact.two.example"), &exact),
        // A wildcard stands for one label, no more and no less.
        (Some("a.b.two.example"), &first),
        (Some("two.example"), &first),
        (Some("three.example"), &first),
        (None, &first),
    ] {
        assert!(site.shown_to(name).await == expected.der(), "{name:?}");
    }
}

#[tokio::test]
async fn of_two_certificates_for_a_name_the_one_is_shown_that_the_client_can_verify() {
    let authority = Authority::new();
    let params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    let modern = authority.with(&params, &rcgen::PKCS_ED25519);
    let common = authority.with(&params, &rcgen::PKCS_ECDSA_P256_SHA256);
    let site = Site::open(server_of(&[&modern, &common])).await;
    for version in BOTH_VERSIONS {
        let config = config_of(&authority, &[version]);
        assert!(shown(site.address(), "localhost", config).await == modern.der());

        let mut provider = provider();
        let known = &mut provider.signature_verification_algorithms;
        let others = known.mapping.iter().filter(|(scheme, _)| *scheme != SignatureScheme::ED25519);
        known.mapping = Box::leak(others.copied().collect());
        let config = config_with(provider, &authority, &[version]);
        assert!(shown(site.address(), "localhost", config).await == common.der());
    }
}

#[tokio::test]
async fn tls_1_2_and_tls_1_3_echo() {
    let authority = Authority::new();
    let site = Site::open(server_of(&[&authority.of(&["localhost"])])).await;
    for version in BOTH_VERSIONS {
        let client = client(config_of(&authority, &[version]));
        let connection = within(client.connect(site.url())).await.unwrap();
        echoes(&connection, "hello").await;
    }
}

#[test]
fn what_cannot_be_used_is_told_with_its_file() {
    let authority = Authority::new();
    let (ours, others) = (authority.of(&["localhost"]), authority.of(&["localhost"]));
    let files = Files::with("unusable", &ours);
    let broken = "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
    let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let no_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let refusal = |chain: &str, key: &str| {
        files.replace(&Identity { chain: chain.to_owned(), key: key.to_owned() });
        ServerTls::from_pem_files(&files.chain, &files.key).unwrap_err()
    };
    let (chain, key) = (files.chain.display(), files.key.display());
    for (error, expected) in [
        (refusal("nothing", &ours.key), format!("{chain}: there is no certificate in it")),
        (refusal(&ours.chain, "nothing"), format!("{key}: there is no private key in it")),
        (refusal(broken, &ours.key), format!("{chain}: this is no PEM: ")),
        (refusal(no_certificate, &ours.key), format!("{chain}: invalid peer certificate: ")),
        (refusal(&ours.chain, no_key), format!("{key}: unexpected error: failed to parse private key")),
        (
            refusal(&ours.chain, &others.key),
            format!("the private key in {key} is not that of the certificate in {chain}"),
        ),
    ] {
        let message = error.to_string();
        assert!(message.starts_with(&expected), "{message:?} and not {expected:?}");
        assert!(!message.contains('\n'), "{message:?}");
    }
    fs::remove_file(&files.key).unwrap();
    let error = ServerTls::from_pem_files(&files.chain, &files.key).unwrap_err();
    assert!(matches!(&error, TlsError::Read { path, .. } if *path == files.key), "{error:?}");
    assert!(error.to_string().starts_with(&format!("cannot read {key}: ")), "{error}");

    assert!(matches!(ServerTls::builder().build(), Err(TlsError::NoServerCertificate)));
    let builder = ServerTls::builder().certificate(&ours.chain, &ours.key).client_certificates("nothing");
    assert!(matches!(builder.build(), Err(TlsError::NoCertificate)));
}

#[tokio::test]
async fn clients_agree_on_http_2_with_a_server_that_speaks_it_where_both_may() {
    // RFC 7301, RFC 9113 §3.2
    let authority = Authority::new();
    let identity = authority.of(&["localhost"]);
    for (offered, may_be_told, is_spoken, expected) in [
        (&["h2", "http/1.1"][..], true, true, Some("h2")),
        (&["http/1.1", "h2"], true, true, Some("h2")),
        (&["http/1.1"], true, true, Some("http/1.1")),
        (&[], true, true, None),
        (&["h2", "http/1.1"], false, true, Some("http/1.1")),
        (&["h2", "http/1.1"], true, false, Some("http/1.1")),
    ] {
        let tls = ServerTls::builder().certificate(&identity.chain, &identity.key).http2(may_be_told);
        let http = HttpServer::builder().tls(tls.build().unwrap()).http2(is_spoken);
        let http = http.bind("127.0.0.1:0").await.unwrap();
        for version in BOTH_VERSIONS {
            let mut config = config_of(&authority, &[version]);
            config.alpn_protocols = offered.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
            let stream = connected(http.local_addr(), "localhost", config).await;
            let agreed = stream.get_ref().1.alpn_protocol();
            assert_eq!(agreed, expected.map(str::as_bytes), "{offered:?} {may_be_told} {is_spoken}");
        }
    }
}
