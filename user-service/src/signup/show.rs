//! Show: what a mail's link would confirm.

use super::{Signup, Unavailable};
use crate::rules::Question;
use contract::{person::Person, registration_id::RegistrationId, verification_code::LinkToken};

/// The answer to the holder of a link's token.
#[derive(Debug)]
pub(crate) enum Shown {
    /// The data of the registration, as they were entered.
    Registration(Person),
    /// The token is wrong.
    WrongToken,
    /// Nobody registered under this id lately.
    Unknown,
}

impl Signup {
    /// Shows the data of a registration to the holder of a token of its address; writes nothing.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub(crate) async fn show(self, id: RegistrationId, token: LinkToken) -> Result<Shown, Unavailable> {
        self.may_answer()?;
        let deadline = self.deadline();
        let (desk, replica, outside) = (&self.0.desk, &self.0.replica, &self.0.outside);
        let Some(registration) = replica.registration(id, deadline).await? else {
            return Ok(Shown::Unknown);
        };
        if desk.is_token_right(&registration, &token, outside.now()).is_none() {
            return Ok(Shown::WrongToken);
        }
        replica.reach(Question::MayBeVerified, deadline).await?;
        Ok(match desk.is_token_right(&registration, &token, outside.now()) {
            Some(_) => Shown::Registration(registration.person),
            None => Shown::WrongToken,
        })
    }
}
