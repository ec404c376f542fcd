//! Work that may end without a result: its client hangs up, or its task panics.

/// Does something when it is dropped, unless the work has finished.
#[must_use]
pub(crate) struct IfAbandoned<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> IfAbandoned<F> {
    pub(crate) fn new(undo: F) -> Self {
        Self(Some(undo))
    }

    /// There is nothing to undo.
    pub(crate) fn finished(mut self) {
        self.0 = None;
    }
}

impl<F: FnOnce()> Drop for IfAbandoned<F> {
    fn drop(&mut self) {
        if let Some(undo) = self.0.take() {
            undo();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn what_is_dropped_or_panics_is_undone_and_what_finishes_is_not() {
        let undone = Arc::new(AtomicUsize::new(0));
        let work = |panics: bool| {
            let undone = Arc::clone(&undone);
            async move {
                let unfinished = IfAbandoned::new(|| {
                    undone.fetch_add(1, Ordering::SeqCst);
                });
                tokio::task::yield_now().await;
                assert!(!panics, "as asked for");
                unfinished.finished();
            }
        };
        work(false).await;
        assert_eq!(undone.load(Ordering::SeqCst), 0);
        assert!(tokio::spawn(work(true)).await.is_err());
        assert_eq!(undone.load(Ordering::SeqCst), 1);
        assert!(futures::FutureExt::now_or_never(work(false)).is_none());
        assert_eq!(undone.load(Ordering::SeqCst), 2);
    }
}
