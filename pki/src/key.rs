//! A key, which never shows itself: PKCS #8 as it is, PKCS #1 (RSA) and SEC 1 (EC) put into its frame.

use anyhow::{Context as _, Result, bail};
use rcgen::{KeyPair, PublicKeyData as _};
use x509_parser::pem::Pem;
use zeroize::Zeroizing;

use crate::certificate::Certificate;

/// AlgorithmIdentifier of rsaEncryption with its NULL (RFC 8017, A.1).
const RSA: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
/// AlgorithmIdentifier of id-ecPublicKey on P-256, and the curve's identifier in it (RFC 5480).
const P256: (&[u8], &[u8]) = (
    b"\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07",
    b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07",
);
/// Likewise on P-384.
const P384: (&[u8], &[u8]) =
    (b"\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22", b"\x06\x05\x2b\x81\x04\x00\x22");

/// A key.
pub(crate) struct Key(pub(crate) KeyPair);

impl Key {
    /// A new key, ECDSA P-256.
    pub(crate) fn generate() -> Result<Self> {
        Ok(Self(KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).context("no key could be made")?))
    }

    /// Reads the first key of a PEM file: RSA of 2048 to 4096 bits, ECDSA P-256 or P-384, Ed25519.
    pub(crate) fn from_pem(pem: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(pem).context("it is not text")?;
        // PKCS #8 says so in the label, the older forms in a header.
        if text.contains("ENCRYPTED") {
            bail!("it is encrypted, and dmhost asks for no passphrase: `openssl pkey` writes it without one");
        }
        for block in Pem::iter_from_buffer(pem) {
            let Ok(block) = block else { bail!("its PEM is damaged") };
            let contents = Zeroizing::new(block.contents);
            let has = |curve: &[u8]| contents.windows(curve.len()).any(|window| window == curve);
            let der = match block.label.as_str() {
                "PRIVATE KEY" => contents,
                "RSA PRIVATE KEY" => framed(RSA, &contents),
                "EC PRIVATE KEY" if has(P256.1) => framed(P256.0, &contents),
                "EC PRIVATE KEY" if has(P384.1) => framed(P384.0, &contents),
                "EC PRIVATE KEY" => bail!("it is on a curve other than P-256 and P-384"),
                _ => continue, // EC PARAMETERS, a certificate in the same file
            };
            let key = KeyPair::try_from(der.as_slice());
            return Ok(Self(key.context("it is none of RSA (2048 to 4096 bits), ECDSA P-256 or P-384, and Ed25519")?));
        }
        bail!("it holds no private key")
    }

    /// As PEM, PKCS #8.
    pub(crate) fn to_pem(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.0.serialize_pem().into_bytes())
    }

    /// Whether the certificate is for this key.
    pub(crate) fn belongs_to(&self, certificate: &Certificate) -> bool {
        self.0.subject_public_key_info() == certificate.public_key
    }
}

/// PrivateKeyInfo (RFC 5208): version 0, the algorithm, the key as an octet string.
fn framed(algorithm: &[u8], key: &[u8]) -> Zeroizing<Vec<u8>> {
    let octets = tagged(0x04, key);
    let body = Zeroizing::new([b"\x02\x01\x00", algorithm, &octets].concat());
    tagged(0x30, &body)
}

/// DER: tag, length, contents.
fn tagged(tag: u8, contents: &[u8]) -> Zeroizing<Vec<u8>> {
    let length = contents.len().to_be_bytes();
    let length = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let mut out = vec![tag];
    match (length, u8::try_from(length.len())) {
        ([short], _) if *short < 0x80 => out.push(*short),
        (long, Ok(count)) => {
            out.push(0x80 | count);
            out.extend_from_slice(long);
        }
        (_, Err(_)) => {} // a length has eight bytes at most
    }
    out.extend_from_slice(contents);
    Zeroizing::new(out)
}
