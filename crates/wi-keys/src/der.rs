//! RSA keys in DER, read by hand: the public half of a private key, of a certificate, of a public key.
//!
//! ASN.1: RFC 5208 (PKCS#8), RFC 8017 A.1.2 (PKCS#1), RFC 5280 4.1 (certificates), RFC 7292 4 (PKCS#12).

use std::fmt::Write;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

/// `rsaEncryption`, 1.2.840.113549.1.1.1.
const RSA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// `pkcs7-data`, 1.2.840.113549.1.7.1.
const PKCS7_DATA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];

/// The public half of an RSA key, big-endian without leading zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Public {
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

impl Public {
    /// `sha256:` and the hex digits of the SHA-256 of the SubjectPublicKeyInfo.
    pub fn digest(&self) -> String {
        let key = tlv(
            SEQUENCE,
            &[unsigned(&self.modulus), unsigned(&self.exponent)].concat(),
        );
        let algorithm = tlv(SEQUENCE, &[tlv(OBJECT, &RSA), vec![0x05, 0x00]].concat());
        let bits = tlv(BIT_STRING, &[&[0], key.as_slice()].concat());
        let info = tlv(SEQUENCE, &[algorithm, bits].concat());
        let mut text = String::from("sha256:");
        for byte in Sha256::digest(&info) {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

/// The public half of a private key, PKCS#8 or PKCS#1. What follows it is not looked at, since a key may
/// be cut out with what stands behind it. `None`: this is not an RSA private key.
pub(crate) fn private_key(der: &[u8]) -> Option<Public> {
    let mut outer = Reader(der).read(SEQUENCE)?;
    outer.read(INTEGER)?;
    let mut pkcs8 = outer;
    if let Some(mut algorithm) = pkcs8.read(SEQUENCE) {
        if algorithm.read(OBJECT)?.0 != RSA {
            return None;
        }
        outer = pkcs8.read(OCTET_STRING)?.read(SEQUENCE)?;
        outer.read(INTEGER)?;
    }
    let public = public_numbers(&mut outer)?;
    outer.integer().filter(|private| private.len() > 8)?;
    let (p, q) = (outer.integer()?, outer.integer()?);
    (product(p, q) == public.modulus).then_some(public)
}

/// Whether it is a private key of another algorithm in PKCS#8: elliptic curves, say.
pub(crate) fn is_other_private_key(der: &[u8]) -> bool {
    let read = || {
        let mut outer = Reader(der).read(SEQUENCE)?;
        outer.read(INTEGER)?;
        let other = outer.read(SEQUENCE)?.read(OBJECT)?.0 != RSA;
        (other && outer.read(OCTET_STRING)?.0.len() >= 32).then_some(())
    };
    read().is_some()
}

/// The public half in a certificate, and whether its subject is one that Google gives the certificates of
/// service accounts' keys: an email, or the number of the account.
pub(crate) fn certificate(der: &[u8]) -> Option<(Public, bool)> {
    let mut signed = Reader(der).read(SEQUENCE)?.read(SEQUENCE)?;
    if signed.0.first() == Some(&0xa0) {
        signed.next()?; // version
    }
    signed.read(INTEGER)?;
    for _signature_issuer_validity in 0..3 {
        signed.read(SEQUENCE)?;
    }
    let subject = signed.read(SEQUENCE)?.0;
    let digits = subject.rsplit(|b| !b.is_ascii_digit()).next();
    let of_google = memchr::memmem::find(subject, b"gserviceaccount").is_some()
        || digits.is_some_and(|d| d.len() >= 15);
    Some((key_info(&mut signed)?, of_google))
}

/// The public half in a SubjectPublicKeyInfo.
pub(crate) fn public_key(der: &[u8]) -> Option<Public> {
    key_info(&mut Reader(der))
}

/// Whether these bytes are a PKCS#12 file, whole: it is named, and not opened.
pub(crate) fn is_pkcs12(bytes: &[u8]) -> bool {
    let read = || {
        let mut file = Reader(bytes);
        let mut outer = file.read(SEQUENCE)?;
        let three = outer.integer()? == [3];
        let kind = outer.read(SEQUENCE)?.read(OBJECT)?;
        (three && file.0.is_empty() && kind.0 == PKCS7_DATA).then_some(())
    };
    read().is_some()
}

fn key_info(reader: &mut Reader<'_>) -> Option<Public> {
    let mut info = reader.read(SEQUENCE)?;
    if info.read(SEQUENCE)?.read(OBJECT)?.0 != RSA {
        return None;
    }
    let (unused_bits, key) = info.read(BIT_STRING)?.0.split_first()?;
    let mut key = Reader(key).read(SEQUENCE)?;
    (*unused_bits == 0)
        .then(|| public_numbers(&mut key))
        .flatten()
}

fn public_numbers(reader: &mut Reader<'_>) -> Option<Public> {
    let (modulus, exponent) = (reader.integer()?, reader.integer()?);
    let is_odd = |number: &[u8]| number.last().is_some_and(|b| b % 2 == 1);
    let fits = (64..=2048).contains(&modulus.len()) && (1..=8).contains(&exponent.len());
    (fits && is_odd(modulus) && is_odd(exponent) && exponent != [1]).then(|| Public {
        modulus: modulus.to_vec(),
        exponent: exponent.to_vec(),
    })
}

#[derive(Clone, Copy)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The next element: its tag and its content.
    fn next(&mut self) -> Option<(u8, Reader<'a>)> {
        let (&[tag, first], mut rest) = self.0.split_first_chunk()?;
        let mut length = usize::from(first);
        if first >= 0x80 {
            let (bytes, after) = rest.split_at_checked(usize::from(first & 0x7f))?;
            if bytes.is_empty() || bytes.len() > 4 {
                return None;
            }
            length = bytes.iter().fold(0, |n, b| n << 8 | usize::from(*b));
            rest = after;
        }
        let (content, after) = rest.split_at_checked(length)?;
        self.0 = after;
        Some((tag, Reader(content)))
    }

    /// The content of the next element, if it is of this kind.
    fn read(&mut self, tag: u8) -> Option<Reader<'a>> {
        let before = *self;
        match self.next() {
            Some((found, content)) if found == tag => Some(content),
            _ => {
                *self = before;
                None
            }
        }
    }

    /// The next element as a number that is not negative, without leading zeros.
    fn integer(&mut self) -> Option<&'a [u8]> {
        let bytes = self.read(INTEGER)?.0;
        if bytes.first()? & 0x80 != 0 {
            return None;
        }
        let zeros = bytes.iter().take_while(|b| **b == 0).count();
        Some(&bytes[zeros..])
    }
}

/// The product of two numbers, big-endian. The factors of a modulus are secret: so is what is between.
fn product(a: &[u8], b: &[u8]) -> Vec<u8> {
    let limbs = |bytes: &[u8]| -> Zeroizing<Vec<u32>> {
        let chunks = bytes.rchunks(4);
        let number = |c: &[u8]| c.iter().fold(0u32, |n, b| n << 8 | u32::from(*b));
        Zeroizing::new(chunks.map(number).collect())
    };
    if a.len() + b.len() > 4096 {
        return Vec::new();
    }
    let (a, b) = (limbs(a), limbs(b));
    let mut sum = Zeroizing::new(vec![0u32; a.len() + b.len()]);
    for (i, x) in a.iter().enumerate() {
        let mut carry = 0u64;
        for (j, y) in b.iter().enumerate() {
            let next = u64::from(*x) * u64::from(*y) + u64::from(sum[i + j]) + carry;
            sum[i + j] = next as u32;
            carry = next >> 32;
        }
        sum[i + b.len()] = carry as u32;
    }
    let bytes = sum.iter().rev().flat_map(|limb| limb.to_be_bytes());
    bytes.skip_while(|b| *b == 0).collect()
}

/// One element in DER.
fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match content.len() {
        short @ 0..0x80 => out.push(short as u8),
        long => {
            let bytes = long.to_be_bytes();
            let bytes = &bytes[bytes.iter().take_while(|b| **b == 0).count()..];
            out.push(0x80 | bytes.len() as u8);
            out.extend(bytes);
        }
    }
    out.extend(content);
    out
}

/// A number that is not negative, in DER.
fn unsigned(number: &[u8]) -> Vec<u8> {
    if number.first().is_some_and(|b| b & 0x80 != 0) {
        tlv(INTEGER, &[&[0], number].concat())
    } else {
        tlv(INTEGER, number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_those_of_arithmetic() {
        for (a, b) in [(3u64, 5u64), (0xffff_ffff, 0xffff_ffff), (1 << 40, 12_345)] {
            let bytes = |n: u128| -> Vec<u8> {
                let all = n.to_be_bytes();
                all.into_iter().skip_while(|b| *b == 0).collect()
            };
            let expected = bytes(u128::from(a) * u128::from(b));
            assert_eq!(product(&bytes(a.into()), &bytes(b.into())), expected);
        }
    }

    #[test]
    fn lengths_that_lead_out_of_the_bytes_are_refused() {
        for bytes in [
            &[0x30][..],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x30, 0x80],
            &[0x30, 0x03, 0x02, 0x01],
        ] {
            assert_eq!(private_key(bytes), None);
            assert!(certificate(bytes).is_none() && !is_pkcs12(bytes));
        }
    }
}
