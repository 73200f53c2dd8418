//! `wharf serve` under `https://` and `wss://`, as a user starts it.

#![expect(clippy::unwrap_used, reason = "it fails the test")]

mod serving;

use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serving::{Serving, answer_on, file, serve};
use wharf::ClientTls;
use wharf::rustls::pki_types::pem::PemObject;
use wharf::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use wharf::rustls::sign::{CertifiedKey, SingleCertAndKey};
use wharf::rustls::{ClientConfig, ClientConnection, StreamOwned};

/// A root, in a file.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: PathBuf,
}

/// A certificate and its key, in files.
struct Identity {
    chain: PathBuf,
    key: PathBuf,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = file(&format!("{name}-root.pem"), &params.self_signed(&key).unwrap().pem());
        Self { issuer: Issuer::new(params, key), root }
    }

    fn of(&self, host: &str, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([host.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity {
            chain: file(&format!("{name}.pem"), &certificate.pem()),
            key: file(&format!("{name}-key.pem"), &key.serialize_pem()),
        }
    }
}

impl Identity {
    fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(&self.chain).unwrap()
    }

    fn replace_with(&self, other: &Self) {
        fs::copy(&other.chain, &self.chain).unwrap();
        fs::copy(&other.key, &self.key).unwrap();
    }

    fn arguments(&self) -> [&str; 4] {
        ["--tls-cert", self.chain.to_str().unwrap(), "--tls-key", self.key.to_str().unwrap()]
    }
}

fn wharf(arguments: &[&str]) -> Command {
    let mut command = serve();
    command.args(["--listen", "127.0.0.1:0"]).args(arguments);
    command
}

type Stream = StreamOwned<ClientConnection, TcpStream>;

/// A client that believes whatever it is shown, and looks at it.
fn trusting() -> ClientConfig {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let tls = ClientTls::danger_accept_invalid_certificates().unwrap();
    Arc::unwrap_or_clone(runtime.block_on(tls.rustls_config()).unwrap())
}

fn connect(serving: &Serving, host: &str, config: ClientConfig) -> Stream {
    let tcp = TcpStream::connect(&serving.address).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let name = host.to_owned().try_into().unwrap();
    let mut stream = StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), tcp);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).unwrap();
    }
    stream
}

/// The certificate that a client is shown who asks for `host`.
fn shown(serving: &Serving, host: &str) -> CertificateDer<'static> {
    connect(serving, host, trusting()).conn.peer_certificates().unwrap()[0].clone()
}

fn refusal(arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = wharf(arguments).output().unwrap();
    assert_eq!((status.code(), stdout.len()), (Some(2), 0), "{arguments:?}");
    String::from_utf8(stderr).unwrap()
}

#[test]
fn each_name_has_its_certificate_and_the_endpoints_answer() {
    let authority = Authority::new("names");
    let (one, two) = (authority.of("one.example", "one"), authority.of("*.two.example", "two"));
    let serving = Serving::start(wharf(&[one.arguments(), two.arguments()].concat()));
    assert_eq!(serving.scheme, "https");
    for (host, expected) in [("one.example", &one), ("a.two.example", &two), ("three.example", &one)] {
        let mut stream = connect(&serving, host, trusting());
        assert_eq!(stream.conn.peer_certificates().unwrap()[0], expected.der(), "{host}");
        assert_eq!(answer_on(&mut stream, "abc", 5).unwrap(), b"\x81\x03abc");
    }
}

#[test]
fn a_file_says_what_flags_can() {
    let authority = Authority::new("config");
    let (one, two) = (authority.of("one.example", "config-one"), authority.of("two.example", "config-two"));
    let [one_files, two_files] = [&one, &two].map(Identity::arguments);
    let text = format!(
        "tls_cert = [{:?}, {:?}]\ntls_key = [{:?}, {:?}]\n",
        one_files[1], two_files[1], one_files[3], two_files[3]
    );
    let config = file("tls.toml", &text);
    let serving = Serving::start(wharf(&["--config", config.to_str().unwrap()]));
    assert_eq!(serving.scheme, "https");
    assert_eq!(shown(&serving, "two.example"), two.der());
}

#[test]
fn a_certificate_that_the_program_made_is_the_one_of_the_fingerprint_that_it_told() {
    let mut serving = Serving::start(wharf(&["--tls-self-signed"]));
    let told = serving.line();
    let fingerprint = told.strip_prefix("wharf: its certificate has the SHA-256 fingerprint ").unwrap();
    let mut stream = connect(&serving, "localhost", trusting());
    let certificate = stream.conn.peer_certificates().unwrap()[0].clone();
    let digest = ring::digest::digest(&ring::digest::SHA256, &certificate);
    let expected: Vec<_> = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    assert_eq!(fingerprint, expected.join(":"));
    assert_eq!(answer_on(&mut stream, "abc", 5).unwrap(), b"\x81\x03abc");

    // Whoever believes it, finds each of its names in it.
    let mut roots = wharf::rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let config = ClientConfig::builder_with_provider(trusting().crypto_provider().clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    for host in ["localhost", "127.0.0.1", "::1"] {
        connect(&serving, host, config.clone());
    }
}

#[test]
fn the_signal_hup_has_the_files_read_again_and_what_came_of_it_is_told() {
    let authority = Authority::new("hup");
    let [before, after] = ["hup-before", "hup-after"].map(|name| authority.of("one.example", name));
    let (first, second) = (before.der(), after.der());
    let mut serving = Serving::start(wharf(&before.arguments()));
    let mut live = connect(&serving, "one.example", trusting());
    assert_eq!(shown(&serving, "one.example"), first);

    fs::write(&before.key, "nothing").unwrap();
    serving.signal(Signal::SIGHUP);
    let expected = format!(
        "wharf: the certificates stay as they were: {}: there is no private key in it",
        before.key.display()
    );
    assert_eq!(serving.error_line(), expected);
    assert_eq!(shown(&serving, "one.example"), first);

    before.replace_with(&after);
    serving.signal(Signal::SIGHUP);
    assert_eq!(serving.error_line(), "wharf: the certificates were read again");
    assert_eq!(shown(&serving, "one.example"), second);
    assert_eq!(answer_on(&mut live, "abc", 5).unwrap(), b"\x81\x03abc");
}

#[test]
fn files_that_change_are_read_again_by_themselves() {
    let authority = Authority::new("change");
    let [before, after] = ["change-before", "change-after"].map(|name| authority.of("one.example", name));
    let mut serving = Serving::start(wharf(&before.arguments()));
    before.replace_with(&after);
    assert_eq!(serving.error_line(), "wharf: the certificates were read again");
    assert_eq!(shown(&serving, "one.example"), after.der());
}

#[test]
fn clients_without_a_certificate_are_served_where_that_is_optional_only() {
    let authority = Authority::new("clients");
    let (server, ours) = (authority.of("one.example", "clients-server"), authority.of("a", "clients-ours"));
    let root = authority.root.to_str().unwrap();
    let key = PrivateKeyDer::from_pem_file(&ours.key).unwrap();
    let mut known = trusting();
    let certified = CertifiedKey::from_der(vec![ours.der()], key, known.crypto_provider()).unwrap();
    known.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified));
    for whether in [None, Some("required"), Some("optional")] {
        let mut arguments = [&server.arguments()[..], &["--tls-client-ca", root]].concat();
        arguments.extend(whether.iter().flat_map(|whether| ["--tls-client-certificates", whether]));
        let serving = Serving::start(wharf(&arguments));
        let mut stream = connect(&serving, "one.example", known.clone());
        assert_eq!(answer_on(&mut stream, "abc", 5).unwrap(), b"\x81\x03abc");
        let mut stream = connect(&serving, "one.example", trusting());
        if whether == Some("optional") {
            assert_eq!(answer_on(&mut stream, "abc", 5).unwrap(), b"\x81\x03abc");
        } else {
            let error = std::io::Read::read(&mut stream, &mut [0]).unwrap_err();
            assert!(error.to_string().contains("CertificateRequired"), "{error}");
        }
    }
}

#[test]
fn options_that_mean_nothing_together_and_files_that_cannot_be_used_are_one_line() {
    let authority = Authority::new("wrong");
    let (one, two) = (authority.of("one.example", "wrong-one"), authority.of("two.example", "wrong-two"));
    let [cert, key] = [one.arguments()[1], two.arguments()[3]];
    let root = authority.root.to_str().unwrap();
    for (arguments, expected) in [
        (&["--tls-cert", cert][..], "--tls-cert needs --tls-key".to_owned()),
        (&["--tls-key", key], "--tls-key needs --tls-cert".to_owned()),
        (
            &["--tls-self-signed", "--tls-cert", cert, "--tls-key", key],
            "--tls-self-signed goes without --tls-cert".to_owned(),
        ),
        (
            &["--tls-client-ca", root],
            "--tls-client-ca needs a certificate for the server: --tls-cert or --tls-self-signed".to_owned(),
        ),
        (
            &["--tls-cert", cert, "--tls-key", key],
            format!("the private key in {key} is not that of the certificate in {cert}"),
        ),
        (
            &["--tls-cert", "nowhere.pem", "--tls-key", key],
            "cannot read nowhere.pem: No such file or directory (os error 2)".to_owned(),
        ),
    ] {
        assert_eq!(refusal(arguments), format!("wharf: {expected}\n"));
    }
}
