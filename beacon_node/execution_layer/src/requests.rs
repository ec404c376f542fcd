//! Execution requests between the beacon chain's containers and the Engine API's list.
//!
//! Spec: electra/beacon-chain.md#get_execution_requests_list and electra/validator.md#get_execution_requests

use crate::error::ValueError;
use alloy_primitives::Bytes;
use ssz::{Decode, Encode};
use types::{ExecutionRequests, Preset};

const DEPOSIT_REQUEST_TYPE: u8 = 0;
const WITHDRAWAL_REQUEST_TYPE: u8 = 1;
const CONSOLIDATION_REQUEST_TYPE: u8 = 2;

/// One entry per kind of request that there is any of: type byte, then the SSZ of the list.
///
/// Spec: electra/beacon-chain.md#get_execution_requests_list
pub fn get_execution_requests_list<P: Preset>(execution_requests: &ExecutionRequests<P>) -> Vec<Bytes> {
    [
        (DEPOSIT_REQUEST_TYPE, execution_requests.deposits.as_ssz_bytes()),
        (WITHDRAWAL_REQUEST_TYPE, execution_requests.withdrawals.as_ssz_bytes()),
        (
            CONSOLIDATION_REQUEST_TYPE,
            execution_requests.consolidations.as_ssz_bytes(),
        ),
    ]
    .into_iter()
    .filter(|(_, data)| !data.is_empty())
    .map(|(kind, data)| {
        let mut bytes = Vec::with_capacity(data.len().saturating_add(1));
        bytes.push(kind);
        bytes.extend_from_slice(&data);
        Bytes::from(bytes)
    })
    .collect()
}

/// The reverse; refuses lists that are empty, out of order, twice there or of an unknown type.
///
/// Spec: electra/validator.md#get_execution_requests
pub fn get_execution_requests<P: Preset>(
    execution_requests_list: &[Bytes],
) -> Result<ExecutionRequests<P>, ValueError> {
    let mut requests = ExecutionRequests::default();
    let mut previous: Option<u8> = None;
    for (index, entry) in execution_requests_list.iter().enumerate() {
        let (kind, data) = match entry.split_first() {
            Some((kind, data)) if !data.is_empty() => (*kind, data),
            _ => return Err(ValueError::EmptyRequests { index }),
        };
        if let Some(previous) = previous.filter(|previous| *previous >= kind) {
            return Err(ValueError::RequestOrder { previous, found: kind });
        }
        previous = Some(kind);
        match kind {
            DEPOSIT_REQUEST_TYPE => requests.deposits = decode(kind, data)?,
            WITHDRAWAL_REQUEST_TYPE => requests.withdrawals = decode(kind, data)?,
            CONSOLIDATION_REQUEST_TYPE => requests.consolidations = decode(kind, data)?,
            unknown => return Err(ValueError::UnknownRequestType(unknown)),
        }
    }
    Ok(requests)
}

fn decode<T: Decode>(kind: u8, data: &[u8]) -> Result<T, ValueError> {
    T::from_ssz_bytes(data).map_err(|error| ValueError::RequestSsz {
        kind,
        why: format!("{error:?}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, FixedBytes};
    use types::{Minimal, WithdrawalRequest};

    fn with_a_withdrawal() -> ExecutionRequests<Minimal> {
        ExecutionRequests {
            withdrawals: vec![WithdrawalRequest {
                source_address: Address::repeat_byte(1),
                validator_pubkey: FixedBytes::repeat_byte(2),
                amount: 3,
            }]
            .try_into()
            .unwrap(),
            ..Default::default()
        }
    }

    #[test]
    fn kinds_without_requests_are_left_out() {
        let none = ExecutionRequests::<Minimal>::default();
        assert!(get_execution_requests_list(&none).is_empty());
        let list = get_execution_requests_list(&with_a_withdrawal());
        let expected = [vec![1], vec![1; 20], vec![2; 48], 3u64.to_le_bytes().to_vec()].concat();
        assert_eq!(list, [Bytes::from(expected)]);
        assert_eq!(get_execution_requests(&list), Ok(with_a_withdrawal()));
    }

    #[test]
    fn lists_that_break_eip_7685_are_refused() {
        let list = |entries: &[&[u8]]| entries.iter().map(|e| Bytes::copy_from_slice(e)).collect::<Vec<_>>();
        let decode = |entries: &[&[u8]]| get_execution_requests::<Minimal>(&list(entries)).unwrap_err();
        let one = [&[1][..], &[0; 76]].concat();
        let two = [&[2][..], &[0; 116]].concat();
        assert_eq!(decode(&[&[]]), ValueError::EmptyRequests { index: 0 });
        assert_eq!(decode(&[&one, &[2]]), ValueError::EmptyRequests { index: 1 });
        assert_eq!(
            decode(&[&two, &one]),
            ValueError::RequestOrder { previous: 2, found: 1 }
        );
        assert_eq!(
            decode(&[&one, &one]),
            ValueError::RequestOrder { previous: 1, found: 1 }
        );
        assert_eq!(decode(&[&[3, 0]]), ValueError::UnknownRequestType(3));
        assert!(matches!(decode(&[&[1, 0]]), ValueError::RequestSsz { kind: 1, .. }));
        let too_many = [&[1][..], &[0; 76 * 17]].concat();
        assert!(matches!(decode(&[&too_many]), ValueError::RequestSsz { kind: 1, .. }));
    }
}
