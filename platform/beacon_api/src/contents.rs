//! Blocks on their way between node and validator client: with their blobs, whole or blinded.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use ssz::{DecodeError, SszDecoderBuilder};
use ssz_types::VariableList;
use typenum::U33554432;
use types::{
    BeaconBlock, BlindedBeaconBlock, Blob, ForkName, ForkVersioned, KzgProof, Preset, Root, SchemeProofs,
    SignatureBytes, SignedBeaconBlock, SignedBlindedBeaconBlock, Signers, Slot, Uint256,
};

/// Proofs of all cells of a block's blobs.
pub type CellProofs = VariableList<KzgProof, U33554432>;
/// A block's blobs.
pub type Blobs<P> = VariableList<Blob<P>, <P as Preset>::MaxBlobCommitmentsPerBlock>;

/// A list of blobs in JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound = "P: Preset", transparent)]
pub struct BlobList<P: Preset>(#[serde(with = "ssz_types::serde_utils::list_of_hex_fixed_vec")] pub Blobs<P>);

macro_rules! contents {
    ($(#[$meta:meta])* $name:ident, $field:ident: $block:ident, $text:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, ssz_derive::Encode, Serialize)]
        #[serde(bound = "P: Preset")]
        pub struct $name<P: Preset> {
            /// The block.
            pub $field: $block<P>,
            /// Proofs of all cells of the blobs.
            pub kzg_proofs: CellProofs,
            /// The blobs.
            #[serde(with = "ssz_types::serde_utils::list_of_hex_fixed_vec")]
            pub blobs: Blobs<P>,
        }

        impl<P: Preset> From<$block<P>> for $name<P> {
            /// A block without blobs.
            fn from(block: $block<P>) -> Self {
                Self {
                    $field: block,
                    kzg_proofs: CellProofs::empty(),
                    blobs: Blobs::<P>::empty(),
                }
            }
        }

        impl<P: Preset> ForkVersioned for $name<P> {
            fn from_ssz_bytes_by_fork(bytes: &[u8], fork: ForkName) -> Result<Self, DecodeError> {
                let mut builder = SszDecoderBuilder::new(bytes);
                builder.register_anonymous_variable_length_item()?;
                builder.register_type::<CellProofs>()?;
                builder.register_type::<Blobs<P>>()?;
                let mut decoder = builder.build()?;
                Ok(Self {
                    $field: decoder.decode_next_with(|bytes| $block::from_ssz_bytes_by_fork(bytes, fork))?,
                    kzg_proofs: decoder.decode_next()?,
                    blobs: decoder.decode_next()?,
                })
            }

            fn from_json_by_fork(json: &str, fork: ForkName) -> Result<Self, serde_json::Error> {
                #[derive(Deserialize)]
                #[serde(bound = "P: Preset")]
                struct Unread<'a, P: Preset> {
                    #[serde(rename = $text, borrow)]
                    block: &'a RawValue,
                    kzg_proofs: CellProofs,
                    #[serde(with = "ssz_types::serde_utils::list_of_hex_fixed_vec")]
                    blobs: Blobs<P>,
                }
                let unread: Unread<'_, P> = serde_json::from_str(json)?;
                Ok(Self {
                    $field: $block::from_json_by_fork(unread.block.get(), fork)?,
                    kzg_proofs: unread.kzg_proofs,
                    blobs: unread.blobs,
                })
            }

            fn fork_name(&self) -> ForkName {
                self.$field.fork_name()
            }
        }
    };
}

contents!(
    /// A block to be signed, with its blobs.
    BlockContents, block: BeaconBlock, "block"
);
contents!(
    /// A signed block with its blobs.
    SignedBlockContents, signed_block: SignedBeaconBlock, "signed_block"
);

impl<P: Preset> BlockContents<P> {
    /// Adds a signature. A BLS signature names no signer here: the node knows whose it is. `proofs` holds a signature
    /// by another scheme.
    pub fn sign(self, signature: SignatureBytes, proofs: SchemeProofs) -> SignedBlockContents<P> {
        SignedBlockContents {
            signed_block: SignedBeaconBlock::from_parts(self.block, signature, Signers::default(), proofs),
            kzg_proofs: self.kzg_proofs,
            blobs: self.blobs,
        }
    }
}

/// A block to be signed.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(bound = "P: Preset", untagged)]
pub enum ProducedBlock<P: Preset> {
    /// With its payload.
    Full(Box<BlockContents<P>>),
    /// With the header of a builder's payload.
    Blinded(Box<BlindedBeaconBlock<P>>),
}

impl<P: Preset> ProducedBlock<P> {
    /// Its slot.
    pub fn slot(&self) -> Slot {
        match self {
            Self::Full(contents) => contents.block.slot(),
            Self::Blinded(block) => block.block_header().slot,
        }
    }

    /// Its root, the same for a block and its blinded form.
    pub fn block_root(&self) -> Root {
        match self {
            Self::Full(contents) => contents.block.block_root(),
            Self::Blinded(block) => block.block_root(),
        }
    }

    /// Whether the payload is a builder's.
    pub fn is_blinded(&self) -> bool {
        matches!(self, Self::Blinded(_))
    }

    /// Whose layout it has.
    pub fn fork_name(&self) -> ForkName {
        match self {
            Self::Full(contents) => contents.fork_name(),
            Self::Blinded(block) => block.fork_name(),
        }
    }

    /// Adds a signature; see [`BlockContents::sign`].
    pub fn sign(self, signature: SignatureBytes, proofs: SchemeProofs) -> SignedProducedBlock<P> {
        match self {
            Self::Full(contents) => SignedProducedBlock::Full(Box::new(contents.sign(signature, proofs))),
            Self::Blinded(block) => SignedProducedBlock::Blinded(Box::new(SignedBlindedBeaconBlock::from_parts(
                *block,
                signature,
                Signers::default(),
                proofs,
            ))),
        }
    }

    /// Reads SSZ, with what the headers of the answer say.
    pub fn from_ssz_bytes(bytes: &[u8], fork: ForkName, is_blinded: bool) -> Result<Self, DecodeError> {
        Ok(if is_blinded {
            Self::Blinded(Box::new(BlindedBeaconBlock::from_ssz_bytes_by_fork(bytes, fork)?))
        } else {
            Self::Full(Box::new(BlockContents::from_ssz_bytes_by_fork(bytes, fork)?))
        })
    }

    /// As SSZ.
    pub fn as_ssz_bytes(&self) -> Vec<u8> {
        match self {
            Self::Full(contents) => ssz::Encode::as_ssz_bytes(contents.as_ref()),
            Self::Blinded(block) => ssz::Encode::as_ssz_bytes(block.as_ref()),
        }
    }
}

/// A block that was produced and signed.
#[derive(Debug, Clone, PartialEq)]
pub enum SignedProducedBlock<P: Preset> {
    /// With its payload.
    Full(Box<SignedBlockContents<P>>),
    /// With the header of its payload, which the node has or gets from a builder.
    Blinded(Box<SignedBlindedBeaconBlock<P>>),
}

/// `/eth/v3/validator/blocks/{slot}`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(bound = "P: Preset")]
pub struct ProducedBlockAnswer<P: Preset> {
    /// Whose layout the block has.
    pub version: ForkName,
    /// Whether the payload is a builder's.
    pub execution_payload_blinded: bool,
    /// What the payload pays, in Wei.
    #[serde(with = "serde_utils::u256_dec")]
    pub execution_payload_value: Uint256,
    /// What the consensus layer pays, in Wei.
    #[serde(with = "serde_utils::u256_dec")]
    pub consensus_block_value: Uint256,
    /// The block.
    pub data: ProducedBlock<P>,
}

impl<P: Preset> ProducedBlockAnswer<P> {
    /// A block with what it pays, in Wei.
    pub fn new(data: ProducedBlock<P>, execution_payload_value: Uint256, consensus_block_value: Uint256) -> Self {
        Self {
            version: data.fork_name(),
            execution_payload_blinded: data.is_blinded(),
            execution_payload_value,
            consensus_block_value,
            data,
        }
    }

    /// Reads JSON.
    pub fn from_json(json: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Unread<'a> {
            version: ForkName,
            execution_payload_blinded: bool,
            #[serde(with = "serde_utils::u256_dec")]
            execution_payload_value: Uint256,
            #[serde(with = "serde_utils::u256_dec")]
            consensus_block_value: Uint256,
            #[serde(borrow)]
            data: &'a RawValue,
        }
        let unread: Unread<'_> = serde_json::from_slice(json)?;
        let data = unread.data.get();
        Ok(Self {
            version: unread.version,
            execution_payload_blinded: unread.execution_payload_blinded,
            execution_payload_value: unread.execution_payload_value,
            consensus_block_value: unread.consensus_block_value,
            data: if unread.execution_payload_blinded {
                ProducedBlock::Blinded(Box::new(BlindedBeaconBlock::from_json_by_fork(data, unread.version)?))
            } else {
                ProducedBlock::Full(Box::new(BlockContents::from_json_by_fork(data, unread.version)?))
            },
        })
    }
}

/// What became of a block that was given to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// 200: sent to others and imported (of a group's block: taken; it is imported when enough keys have signed).
    Imported,
    /// 202: sent to others, but not imported.
    BroadcastOnly,
}
