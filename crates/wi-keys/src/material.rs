//! Bytes that may be key material: zeroed when they go, and printed by nothing.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

/// Decoded bytes. Their memory is overwritten when they are dropped and when they grow, and `Debug`
/// tells how many there are. There is no `Display`, no `Clone` and no `Serialize`.
pub(crate) struct Material(Zeroizing<Vec<u8>>);

impl Material {
    /// Room for so many bytes, so that they need not be moved.
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(bytes)))
    }

    pub fn push(&mut self, byte: u8) {
        self.extend(&[byte]);
    }

    pub fn extend(&mut self, bytes: &[u8]) {
        if self.0.capacity() - self.0.len() < bytes.len() {
            let wanted = (self.0.len() + bytes.len()).max(2 * self.0.capacity());
            let mut larger = Vec::with_capacity(wanted);
            larger.extend_from_slice(&self.0);
            let mut smaller = std::mem::replace(&mut *self.0, larger);
            smaller.zeroize();
        }
        self.0.extend_from_slice(bytes);
    }

    /// For the parsers of this crate alone.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Material({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::Material;

    #[test]
    fn material_grows_and_is_printed_by_nothing() {
        let mut material = Material::with_capacity(1);
        for _ in 0..100 {
            material.extend(b"hunter2 ");
        }
        assert_eq!(material.bytes().len(), 800);
        assert_eq!(format!("{material:?}"), "Material(800 bytes)");
    }
}
