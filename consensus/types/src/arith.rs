//! Checked arithmetic. Consensus code never wraps and never saturates by accident.

/// An integer operation left the range of its type, or divided by zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ArithError {
    /// The result does not fit the type.
    #[error("integer overflow")]
    Overflow,
    /// Division or remainder by zero.
    #[error("division by zero")]
    DivisionByZero,
}

/// Checked arithmetic on plain integers, with an error instead of an `Option`.
pub trait SafeArith: Sized {
    /// `self + other`.
    fn safe_add(self, other: Self) -> Result<Self, ArithError>;
    /// `self - other`.
    fn safe_sub(self, other: Self) -> Result<Self, ArithError>;
    /// `self * other`.
    fn safe_mul(self, other: Self) -> Result<Self, ArithError>;
    /// `self / other`, rounded down.
    fn safe_div(self, other: Self) -> Result<Self, ArithError>;
    /// `self % other`.
    fn safe_rem(self, other: Self) -> Result<Self, ArithError>;
    /// Adds in place.
    fn safe_add_assign(&mut self, other: Self) -> Result<(), ArithError>;
    /// Subtracts in place.
    fn safe_sub_assign(&mut self, other: Self) -> Result<(), ArithError>;
}

macro_rules! impl_safe_arith {
    ($($int:ty),*) => {$(
        impl SafeArith for $int {
            #[inline]
            fn safe_add(self, other: Self) -> Result<Self, ArithError> {
                self.checked_add(other).ok_or(ArithError::Overflow)
            }
            #[inline]
            fn safe_sub(self, other: Self) -> Result<Self, ArithError> {
                self.checked_sub(other).ok_or(ArithError::Overflow)
            }
            #[inline]
            fn safe_mul(self, other: Self) -> Result<Self, ArithError> {
                self.checked_mul(other).ok_or(ArithError::Overflow)
            }
            #[inline]
            fn safe_div(self, other: Self) -> Result<Self, ArithError> {
                self.checked_div(other).ok_or(ArithError::DivisionByZero)
            }
            #[inline]
            fn safe_rem(self, other: Self) -> Result<Self, ArithError> {
                self.checked_rem(other).ok_or(ArithError::DivisionByZero)
            }
            #[inline]
            fn safe_add_assign(&mut self, other: Self) -> Result<(), ArithError> {
                *self = self.safe_add(other)?;
                Ok(())
            }
            #[inline]
            fn safe_sub_assign(&mut self, other: Self) -> Result<(), ArithError> {
                *self = self.safe_sub(other)?;
                Ok(())
            }
        }
    )*};
}

impl_safe_arith!(u8, u16, u32, u64, u128, usize);
