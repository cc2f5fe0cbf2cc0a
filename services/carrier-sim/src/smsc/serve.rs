//! What one ESME asks.

use super::{
    Shared,
    manners::{Answered, Fate, Receipts},
};
use ccm_smpp::{
    CommandStatus, Pdu,
    link::{Handle, Reply, Serve},
    message::{self, Content, Receipt, Received},
    session::BindRequest,
};
use futures::{FutureExt, future::BoxFuture};
use secrecy::ExposeSecret;
use std::{future::pending, sync::Arc};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

pub(super) struct Server {
    pub shared: Arc<Shared>,
    pub handle: Handle,
    pub stop: CancellationToken,
}

impl Serve for Server {
    fn request(&mut self, pdu: Pdu) -> BoxFuture<'static, Reply> {
        let refused = |status| async move { Reply::status(status) }.boxed();
        let Ok(received) = message::read(&pdu, &self.shared.config.style) else {
            return refused(CommandStatus::EsmeRsyserr);
        };
        if received.to.value.is_empty() {
            return refused(CommandStatus::EsmeRinvdstadr);
        }
        let fate = self.shared.mood().next();
        let answered = match fate {
            Fate::Refused(status) => return refused(status),
            Fate::Taken(answered) => answered,
        };
        let id = self.shared.book().take(&received);
        self.shared.changed.notify_waiters();
        let (answer_id, receipt) = self.receipt(id, &received);
        let (shared, stop) = (Arc::clone(&self.shared), self.stop.clone());
        async move {
            match answered {
                Answered::After(time) => sleep(time).await,
                Answered::Never => pending().await,
                Answered::Broken => {
                    stop.cancel();
                    pending().await
                }
            }
            if let Some(receipt) = receipt {
                let shared = Arc::clone(&shared);
                shared.clone().tasks.spawn(async move {
                    // It goes once the answer is on its way: an ESME does not know the id before.
                    tokio::task::yield_now().await;
                    tokio::select! {
                        _ = shared.deliver(&receipt) => {}
                        () = shared.stop.cancelled() => {}
                    }
                });
            }
            Reply {
                status: CommandStatus::EsmeRok,
                message_id: answer_id,
            }
        }
        .boxed()
    }

    fn bind(&mut self, request: BindRequest) -> Result<String, CommandStatus> {
        let config = &self.shared.config;
        if request.system_id != config.system_id {
            return Err(CommandStatus::EsmeRinvsysid);
        }
        if request.password.expose_secret() != config.password {
            return Err(CommandStatus::EsmeRinvpaswd);
        }
        let link = (self.handle.clone(), self.stop.clone());
        self.shared.links().push(link);
        self.shared.changed.notify_waiters();
        Ok("carrier-sim".to_owned())
    }
}

impl Server {
    /// The id that the answer has, and the receipt that the text is to have.
    fn receipt(&self, id: u64, received: &Received) -> (String, Option<Pdu>) {
        let mood = self.shared.mood();
        let manners = &mood.manners;
        let (answer_id, receipt_id) = if manners.hex_ids {
            (format!("{id:08X}"), id.to_string())
        } else {
            (format!("sim-{id}"), format!("sim-{id}"))
        };
        let wanted = received.wants_receipt && matches!(received.content, Content::Text { .. });
        let receipt = (wanted && manners.receipts != Receipts::None).then(|| {
            let receipt = Receipt {
                message_id: receipt_id,
                state: manners.state,
                error: manners.error.clone(),
            };
            receipt.deliver(
                &received.to,
                &received.from,
                manners.receipts == Receipts::Parameters,
            )
        });
        (answer_id, receipt)
    }
}
