//! Bounds on lists that come page by page: a server that never ends one must not keep `wi` forever, nor
//! have all of its memory.

/// More than any API has of anything: half a million accounts, five million Kubernetes objects.
const MOST_PAGES: usize = 10_000;

/// In bytes. The pods of the largest GKE clusters are about half of it.
const LARGEST: usize = 4 << 30;

/// What a list may still take.
#[derive(Debug)]
pub(crate) struct ListBudget {
    pages: usize,
    bytes: usize,
}

impl Default for ListBudget {
    fn default() -> Self {
        Self {
            pages: MOST_PAGES,
            bytes: LARGEST,
        }
    }
}

impl ListBudget {
    /// Takes a page of so many bytes; the error is for the user.
    pub fn take(&mut self, bytes: usize) -> Result<(), String> {
        let pages = self.pages.checked_sub(1);
        self.pages = pages
            .ok_or_else(|| format!("the list does not end: it has more than {MOST_PAGES} pages"))?;
        let left = self.bytes.checked_sub(bytes);
        self.bytes = left.ok_or_else(|| {
            format!(
                "the list does not end: it has more than {} MiB",
                LARGEST >> 20
            )
        })?;
        Ok(())
    }
}
