//! The scan: looks at a text, and at what is encoded in it, again.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use memchr::memmem;

use crate::anchors::{self, LONG_RUN};
use crate::context::{self, Fields};
use crate::decode::{self, Mapped};
use crate::der::{self, Public};
use crate::key::{Found, Key, Kind, Layer, Scan};
use crate::material::Material;
use crate::{MOST_DECODED, others, pem};

/// A release of Helm has five: base64, base64, gzip, a JSON string, base64 in the manifest, and JSON again.
const DEEPEST: usize = 9;

/// Levels of escapes, and of percent-encoding, that are undone at one place.
const LEVELS: usize = 3;

/// Runs of base64 of this length on are looked into where there is an anchor at all.
const SHORT_RUN: usize = 32;

/// More than so many are not told of one text.
const MOST_FOUND: usize = 2000;

/// Nearer than so many bytes the same key does not stand twice: it is longer than that.
const ONE_PLACE: usize = 256;

/// So far from a key stands that it is a login at a registry.
const LOGIN_REACH: usize = 4 << 10;

/// All credentials in these bytes.
///
/// Takes time in proportion to the bytes and to what they unpack to, which is bounded
/// ([`MOST_DECODED`]): [`Scan::is_partial`] says where a bound was met.
pub fn scan(bytes: &[u8]) -> Scan {
    scan_within(bytes, MOST_DECODED)
}

/// As [`scan`], with another bound of what is decoded, in bytes.
pub fn scan_within(bytes: &[u8], most: usize) -> Scan {
    let mut sink = Sink {
        found: BTreeMap::new(),
        certified: HashSet::new(),
        in_objects: HashSet::new(),
        left: most,
        is_partial: false,
    };
    if anchors::is_worth_a_look(bytes) {
        let view = View {
            text: bytes,
            origin: Origin::At(0),
            parent: None,
            layers: &[],
        };
        sink.look(&view);
    }
    let mut found: Vec<Found> = sink.found.into_values().collect();
    found.retain(|f| {
        let digest = f.key.public_key.as_ref();
        digest.is_none_or(|d| sink.in_objects.contains(d) || !sink.certified.contains(d))
    });
    found.sort();
    Scan {
        found,
        is_partial: sink.is_partial,
    }
}

/// A text, and where it comes from.
struct View<'a> {
    text: &'a [u8],
    origin: Origin<'a>,
    parent: Option<&'a View<'a>>,
    layers: &'a [Layer],
}

/// Where in the text that it comes from a text lies.
enum Origin<'a> {
    /// All of it here.
    At(usize),
    /// As these points say.
    Points(&'a [(usize, usize)]),
}

impl View<'_> {
    /// The place in the parent's text.
    fn up(&self, at: usize) -> usize {
        match self.origin {
            Origin::At(place) => place,
            Origin::Points(points) => {
                let after = points.partition_point(|(new, _)| *new <= at);
                let (new, old) = points[after.saturating_sub(1)];
                old + (at - new.min(at))
            }
        }
    }

    /// The place in the bytes that are scanned.
    fn offset(&self, at: usize) -> usize {
        match self.parent {
            Some(parent) => parent.offset(self.up(at)),
            None => at,
        }
    }

    /// How often this has been undone directly before.
    fn undone(&self, layer: Layer) -> usize {
        let layers = self.layers.iter().rev();
        layers.take_while(|l| **l == layer).count()
    }

    /// The email and the id beside a key, here or where this text was encoded.
    fn nearby(&self, range: &Range<usize>) -> (Option<String>, Option<String>) {
        match (context::nearby(self.text, range), self.parent) {
            ((None, None), Some(parent)) => {
                let at = self.up(range.start);
                parent.nearby(&(at..at))
            }
            (found, _) => found,
        }
    }

    /// Whether the secret of an HMAC key is near the place where this text was encoded.
    fn is_beside_a_secret(&self, at: usize) -> bool {
        self.parent.is_some_and(|parent| {
            let at = self.up(at);
            others::has_secret_beside(parent.text, &(at..at)) || parent.is_beside_a_secret(at)
        })
    }

    fn is_registry_login(&self, at: usize) -> bool {
        let from = at.saturating_sub(LOGIN_REACH);
        let around = &self.text[from.min(self.text.len())..self.text.len().min(at + LOGIN_REACH)];
        memmem::find(around, b"_json_key").is_some()
            || self
                .parent
                .is_some_and(|p| p.is_registry_login(self.up(at)))
    }
}

/// Which of several findings at one place it is.
type Slot = (usize, Option<String>, Kind, String);

struct Sink {
    found: BTreeMap<Slot, Found>,
    /// Digests of keys that have a certificate beside them.
    certified: HashSet<String>,
    /// Digests of keys in an object that says whose they are.
    in_objects: HashSet<String>,
    /// So many bytes may still be decoded.
    left: usize,
    is_partial: bool,
}

impl Sink {
    fn look(&mut self, view: &View<'_>) {
        if self.look_whole(view) {
            return;
        }
        if let Some(mapped) = decode::utf16(view.text) {
            self.go_on_mapped(view, &mapped, Layer::Utf16);
            return;
        }
        let keys = pem::private_keys(view.text);
        for block in &keys {
            self.key(view, &block.range, block.public.as_ref());
        }
        self.certificates(view.text);
        for (at, key) in others::all(view.text, |at| view.is_beside_a_secret(at)) {
            self.add(view, at, key);
        }
        self.runs(view, &keys);
        self.escapes(view);
        if view.undone(Layer::Percent) < LEVELS && decode::is_percent_encoded(view.text) {
            let mapped = decode::percent_decoded(view.text);
            self.go_on_mapped(view, &mapped, Layer::Percent);
        }
    }

    /// What the bytes are as a whole: packed, a key in DER, a PKCS#12 file.
    fn look_whole(&mut self, view: &View<'_>) -> bool {
        if decode::is_gzip(view.text) {
            let (unpacked, is_all) = decode::gunzip(view.text, self.left);
            self.is_partial |= !is_all;
            self.go_on(view, &unpacked, 0, Layer::Gzip);
            return true;
        }
        if let Some(public) = der::private_key(view.text) {
            self.key(view, &(0..view.text.len()), Some(&public));
            return true;
        }
        if der::is_pkcs12(view.text) {
            self.add(view, 0, Key::of(Kind::Pkcs12));
            return true;
        }
        false
    }

    fn runs(&mut self, view: &View<'_>, keys: &[pem::Block]) {
        let has_anchor = anchors::has_anchor(view.text);
        let at_least = if has_anchor { SHORT_RUN } else { LONG_RUN };
        let mut from = 0;
        while let Some(run) = decode::next_run(view.text, from, at_least) {
            from = run.end.max(run.start + 1);
            let in_key = |b: &pem::Block| b.range.contains(&run.start);
            if keys.iter().any(in_key) || self.found.len() > MOST_FOUND {
                continue;
            }
            let text = &view.text[run.clone()];
            for shift in 0..4.min(text.len()) {
                let decoded = decode::base64(&text[shift..]);
                self.certificates(decoded.bytes());
                if anchors::is_worth_a_look(decoded.bytes()) {
                    self.go_on(view, &decoded, run.start, Layer::Base64);
                    break;
                }
                // Something else stands directly before it.
                if run.len() < LONG_RUN && !anchors::has_anchor(text) {
                    break;
                }
            }
        }
    }

    fn certificates(&mut self, text: &[u8]) {
        let certified = pem::certified(text).into_iter();
        self.certified
            .extend(certified.map(|public| public.digest()));
    }

    fn escapes(&mut self, view: &View<'_>) {
        if view.undone(Layer::Escaped) < LEVELS && decode::is_escaped(view.text) {
            let mapped = decode::unescaped(view.text);
            self.go_on_mapped(view, &mapped, Layer::Escaped);
        }
    }

    fn go_on_mapped(&mut self, view: &View<'_>, mapped: &Mapped, layer: Layer) {
        self.descend(view, &mapped.text, Origin::Points(&mapped.points), layer);
    }

    fn go_on(&mut self, view: &View<'_>, text: &Material, at: usize, layer: Layer) {
        self.descend(view, text, Origin::At(at), layer);
    }

    fn descend(&mut self, view: &View<'_>, text: &Material, origin: Origin<'_>, layer: Layer) {
        let text = text.bytes();
        if !anchors::is_worth_a_look(text) {
            return;
        }
        if view.layers.len() >= DEEPEST || text.len() > self.left {
            self.is_partial = true;
            return;
        }
        self.left -= text.len();
        let layers = [view.layers, &[layer]].concat();
        self.look(&View {
            text,
            origin,
            parent: Some(view),
            layers: &layers,
        });
    }

    /// A private key, with whose it is.
    fn key(&mut self, view: &View<'_>, range: &Range<usize>, public: Option<&Public>) {
        let object = context::enclosing(view.text, range.start);
        let is_in_object = object.is_some();
        let fields: Fields = object.map(|(fields, _)| fields).unwrap_or_default();
        let Some(public) = public else {
            // Not RSA: a key of Google's only where the file says so.
            if fields.r#type() == "gdch_service_account" {
                let mut key = Key::of(Kind::DistributedCloudKey);
                key.id = fields.id();
                key.email = fields.service_identity();
                key.project = fields.project();
                self.add(view, range.start, key);
            }
            return;
        };
        let mut key = Key::of(Kind::PrivateKey);
        key.public_key = Some(public.digest());
        key.email = fields.email();
        key.id = fields.id();
        key.project = fields.project();
        key.client_id = fields.client_id();
        if is_in_object {
            self.in_objects.extend(key.public_key.clone());
        } else {
            (key.email, key.id) = view.nearby(range);
        }
        if key.email.is_some() || key.id.is_some() || fields.r#type() == "service_account" {
            key.kind = Kind::ServiceAccountKey;
        }
        self.add(view, range.start, key);
    }

    fn add(&mut self, view: &View<'_>, at: usize, key: Key) {
        if self.found.len() > MOST_FOUND {
            self.is_partial = true;
            return;
        }
        let offset = view.offset(at);
        let (kind, name) = match key.public_key {
            Some(_) => (Kind::PrivateKey, String::new()),
            None => (key.kind, key.name()),
        };
        let slot = (offset, key.public_key.clone(), kind, name);
        // Spellings of one place differ in what they take for its beginning.
        let first = (
            offset.saturating_sub(ONE_PLACE),
            None,
            Kind::ServiceAccountKey,
            String::new(),
        );
        let near = self.found.range(first..).map(|(known, _)| known);
        let mut near = near.take_while(|known| known.0 <= offset + ONE_PLACE);
        let is_it = |known: &&Slot| (&known.1, known.2, &known.3) == (&slot.1, slot.2, &slot.3);
        let slot = near.find(is_it).cloned().unwrap_or(slot);
        let found = Found {
            offset,
            is_registry_login: view.is_registry_login(at),
            key,
            layers: view.layers.to_vec(),
        };
        match self.found.get_mut(&slot) {
            // Seen in another spelling of the same place: what says more counts.
            Some(known) if told(&known.key) >= told(&found.key) => {
                known.is_registry_login |= found.is_registry_login;
            }
            _ => {
                self.found.insert(slot, found);
            }
        }
    }
}

/// How much is known of a key.
fn told(key: &Key) -> usize {
    [&key.email, &key.id, &key.project, &key.client_id]
        .into_iter()
        .flatten()
        .count()
}
