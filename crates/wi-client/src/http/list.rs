//! Bounds on lists that come page by page: a server that never ends one must not keep `wi` forever, nor
//! have all of its memory.

/// Of Kubernetes objects five million.
const MOST_PAGES: usize = 10_000;

/// Things in all pages together: five times the pods of the largest GKE clusters.
const MOST_ITEMS: usize = 1_000_000;

/// In bytes. The pods of the largest GKE clusters are about half of it.
const LARGEST: u64 = 4 << 30;

/// A list that goes on for ever, as it seems: how much of it there was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EndlessList {
    #[error("the list does not end: thousands of pages and more")]
    Pages,
    #[error("the list does not end: {MOST_ITEMS} items and more")]
    Items,
    #[error("the list does not end: {} MiB and more", LARGEST >> 20)]
    Bytes,
}

/// What a list may still take.
#[derive(Debug)]
pub(crate) struct ListBudget {
    pages: usize,
    items: usize,
    bytes: u64,
}

impl Default for ListBudget {
    fn default() -> Self {
        Self {
            pages: MOST_PAGES,
            items: MOST_ITEMS,
            bytes: LARGEST,
        }
    }
}

impl ListBudget {
    /// For a list of which there are never so many pages.
    pub fn of_pages(pages: usize) -> Self {
        Self {
            pages,
            ..Self::default()
        }
    }

    /// Takes a page.
    ///
    /// # Errors
    /// What there is too much of.
    pub fn take(&mut self, items: usize, bytes: usize) -> Result<(), EndlessList> {
        self.pages = self.pages.checked_sub(1).ok_or(EndlessList::Pages)?;
        self.items = self.items.checked_sub(items).ok_or(EndlessList::Items)?;
        let left = self.bytes.checked_sub(bytes as u64);
        self.bytes = left.ok_or(EndlessList::Bytes)?;
        Ok(())
    }
}
