//! The opening handshake.

use wharf_proto::handshake::{ClientRequest, HeadLimits, HttpVersion, ResponseHead, parse_response, verify};

use crate::compressed::Compression;
use crate::error::{Failure, LoadError};
use crate::target::Protocol;

/// A handshake that was sent, and what came of its answer.
#[derive(Debug)]
pub(crate) struct Opening {
    request: ClientRequest,
    received: Vec<u8>,
}

impl Opening {
    /// Appends the request to `output`. `None` where there is no handshake.
    pub(crate) fn begin(
        protocol: &Protocol,
        compression: bool,
        output: &mut Vec<u8>,
    ) -> Result<Option<Self>, LoadError> {
        let Protocol::WebSocket { authority, resource, fields } = protocol else { return Ok(None) };
        let mut request = ClientRequest::new(authority, resource, rand::random());
        request.fields.clone_from(fields);
        if compression {
            request.extensions.push(Compression::offer());
        }
        request.write(output)?;
        Ok(Some(Self { request, received: Vec::new() }))
    }

    /// Takes what came: what lies behind the answer, once all of that is there.
    pub(crate) fn take(
        &mut self,
        bytes: &[u8],
        compression: Option<&Compression>,
    ) -> Result<Option<Vec<u8>>, Failure> {
        self.received.extend_from_slice(bytes);
        let Some((head, length)) = parse_response(&self.received, &HeadLimits::default())? else {
            return Ok(None);
        };
        let head = ResponseHead { version: HttpVersion::Http11, ..head };
        let accepted = verify(&head, &self.request)?;
        if let Some(compression) = compression {
            compression.accept(&accepted.extensions)?;
        }
        Ok(Some(self.received.split_off(length)))
    }
}
