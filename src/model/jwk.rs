//! A public key as verifiers get it (RFC 7517, RFC 7518 section 6.2, RFC 8037).

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::{Deserialize, Serialize};

use super::access_token::VerifyingKey;

/// The first byte of a point that is not compressed (SEC 1 section 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// A key of a set. What is absent is empty, so that a set with keys of other kinds can be
/// read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Jwk {
    /// The key type: `OKP` or `EC`.
    pub kty: String,
    /// What it is used for: `sig`.
    #[serde(rename = "use", skip_serializing_if = "String::is_empty")]
    pub usage: String,
    /// The algorithm that it signs with: `EdDSA` or `ES256`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub alg: String,
    /// The id: the thumbprint (RFC 7638).
    pub kid: String,
    /// The curve: `Ed25519` or `P-256`.
    pub crv: String,
    /// The point, or its x coordinate, in base64url.
    pub x: String,
    /// The y coordinate in base64url; empty for `OKP`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub y: String,
}

impl Jwk {
    /// A key of Ed25519 from its 32 bytes.
    #[must_use]
    pub fn ed25519(point: &[u8; 32]) -> Self {
        Self::new("OKP", "EdDSA", "Ed25519", point, &[])
    }

    /// A key of P-256 from its 65 bytes (SEC 1 section 2.3.3); `None` where the point is
    /// compressed.
    #[must_use]
    pub fn p256(point: &[u8; 65]) -> Option<Self> {
        let (x, y) = point[1..].split_at(32);
        (point[0] == UNCOMPRESSED).then(|| Self::new("EC", "ES256", "P-256", x, y))
    }

    fn new(kty: &str, alg: &str, crv: &str, x: &[u8], y: &[u8]) -> Self {
        let mut key = Self {
            kty: kty.to_owned(),
            usage: "sig".to_owned(),
            alg: alg.to_owned(),
            kid: String::new(),
            crv: crv.to_owned(),
            x: URL_SAFE_NO_PAD.encode(x),
            y: URL_SAFE_NO_PAD.encode(y),
        };
        key.kid = key.thumbprint();
        key
    }

    /// The key as signatures are checked with it; `None` where it is of a kind that signs
    /// no access token, or does not agree with itself.
    #[must_use]
    pub fn verifying_key(&self) -> Option<VerifyingKey> {
        if !matches!(self.usage.as_str(), "" | "sig") {
            return None;
        }
        match (self.kty.as_str(), self.crv.as_str(), self.alg.as_str()) {
            ("OKP", "Ed25519", "" | "EdDSA") if self.y.is_empty() => {
                let key = DecodingKey::from_ed_der(&coordinate(&self.x)?);
                Some(VerifyingKey::new(Algorithm::EdDSA, key))
            }
            ("EC", "P-256", "" | "ES256") => {
                let (x, y) = (coordinate(&self.x)?, coordinate(&self.y)?);
                let key = DecodingKey::from_ec_der(&[&[UNCOMPRESSED], &x[..], &y[..]].concat());
                Some(VerifyingKey::new(Algorithm::ES256, key))
            }
            _ => None,
        }
    }

    /// RFC 7638 section 3, RFC 8037 appendix A.3.
    fn thumbprint(&self) -> String {
        let Self { kty, crv, x, y, .. } = self;
        let y = match y.as_str() {
            "" => String::new(),
            y => format!(r#","y":"{y}""#),
        };
        let required = format!(r#"{{"crv":"{crv}","kty":"{kty}","x":"{x}"{y}}}"#);
        URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, required.as_bytes()))
    }
}

fn coordinate(text: &str) -> Option<[u8; 32]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8037 appendix A.2.
    fn ed25519() -> Jwk {
        Jwk::ed25519(&coordinate("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap())
    }

    /// RFC 7517 appendix A.1.
    fn p256() -> Jwk {
        let x = coordinate("MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4").unwrap();
        let y = coordinate("4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM").unwrap();
        let point = [&[4], &x[..], &y[..]].concat();
        Jwk::p256(&point.try_into().unwrap()).unwrap()
    }

    #[test]
    fn thumbprint_is_that_of_rfc_8037() {
        assert_eq!(ed25519().kid, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn thumbprint_of_a_p256_key_is_that_of_its_required_members() {
        // What sha256sum makes of the text, RFC 7638 section 3.1's way.
        assert_eq!(p256().kid, "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s");
    }

    #[test]
    fn key_survives_its_text_and_leaves_out_what_it_lacks() {
        for key in [ed25519(), p256()] {
            let text = serde_json::to_string(&key).unwrap();
            assert_eq!(text.contains(r#""y":"#), key.kty == "EC", "{text}");
            assert!(text.contains(r#""use":"sig""#));
            assert_eq!(serde_json::from_str::<Jwk>(&text).unwrap(), key);
            assert!(key.verifying_key().is_some());
        }
    }

    #[test]
    fn key_of_another_kind_can_be_read_and_verifies_nothing() {
        let rsa = r#"{"kty":"RSA","kid":"1","n":"AQAB","e":"AQAB","use":"sig"}"#;
        let rsa: Jwk = serde_json::from_str(rsa).unwrap();
        assert!(rsa.verifying_key().is_none());
    }

    #[test]
    fn key_that_does_not_agree_with_itself_verifies_nothing() {
        let changes: [fn(&mut Jwk); 7] = [
            |key| key.alg = "HS256".to_owned(),
            |key| key.alg = "RS256".to_owned(),
            |key| key.crv = "P-384".to_owned(),
            |key| key.kty = "oct".to_owned(),
            |key| key.usage = "enc".to_owned(),
            |key| key.x.push('A'),
            |key| key.x.truncate(20),
        ];
        for good in [ed25519(), p256()] {
            for change in changes {
                let mut key = good.clone();
                change(&mut key);
                assert!(key.verifying_key().is_none(), "{key:?}");
            }
        }
        let mut crossed = ed25519();
        crossed.alg = "ES256".to_owned();
        assert!(crossed.verifying_key().is_none());
        let mut halved = p256();
        halved.y = String::new();
        assert!(halved.verifying_key().is_none());
    }

    #[test]
    fn compressed_point_is_no_key() {
        let mut point = [7; 65];
        point[0] = 2;
        assert!(Jwk::p256(&point).is_none());
    }
}
