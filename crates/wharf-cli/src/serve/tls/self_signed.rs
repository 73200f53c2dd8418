//! A certificate for this machine, made at the start and gone at the end.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, date_time_ymd};

/// A certificate that nobody but itself vouches for, and its key, in PEM. The key is in memory alone.
pub(super) struct SelfSigned {
    pub(super) certificate: String,
    pub(super) key: String,
    /// SHA-256 of the certificate, as browsers and OpenSSL write it.
    pub(super) fingerprint: String,
}

impl SelfSigned {
    /// For `localhost`, its addresses, and those that are listened on.
    ///
    /// # Errors
    /// There is no randomness.
    pub(super) fn make(listen: impl Iterator<Item = IpAddr>) -> Result<Self, rcgen::Error> {
        let mut params = CertificateParams::new(names(listen))?;
        params.distinguished_name.push(DnType::CommonName, "wharf, self-signed");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        // Some believe none of more than 398 days, even where a user says so. From yesterday, for clocks that differ.
        let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
        let at = |date: Date| {
            date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
        };
        params.not_before = at(today.saturating_sub(1.day()));
        params.not_after = at(today.saturating_add(397.days()));
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        let fingerprint = fingerprint(certificate.der());
        Ok(Self { certificate: certificate.pem(), key: key.serialize_pem(), fingerprint })
    }
}

fn names(listen: impl Iterator<Item = IpAddr>) -> Vec<String> {
    let mut addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    for ip in listen {
        if !ip.is_unspecified() && !addresses.contains(&ip) {
            addresses.push(ip);
        }
    }
    let mut names = vec!["localhost".to_owned()];
    names.extend(addresses.iter().map(IpAddr::to_string));
    names
}

fn fingerprint(der: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, der);
    let mut text = String::new();
    for byte in digest.as_ref() {
        let separator = if text.is_empty() { "" } else { ":" };
        // Writing to a String does not fail.
        let _ = write!(text, "{separator}{byte:02X}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_that_is_listened_on_is_one_of_the_names() {
        for (listen, expected) in [
            ("127.0.0.1", &["127.0.0.1", "::1"][..]),
            ("192.0.2.7", &["127.0.0.1", "::1", "192.0.2.7"]),
            ("::", &["127.0.0.1", "::1"]),
        ] {
            assert_eq!(names([listen.parse().unwrap()].into_iter())[1..], *expected, "{listen}");
        }
    }

    #[test]
    fn a_fingerprint_is_the_sha_256_of_the_certificate() {
        let expected =
            "BA:78:16:BF:8F:01:CF:EA:41:41:40:DE:5D:AE:22:23:B0:03:61:A3:96:17:7A:9C:B4:10:FF:61:F2:00:15:AD";
        assert_eq!(fingerprint(b"abc"), expected);
    }
}
