#![doc = include_str!("../README.md")]
#![no_std]

#[cfg(target_arch = "x86_64")]
cpufeatures::new!(detected, "avx2");

/// The processor has AVX2, and the operating system keeps its registers.
#[derive(Clone, Copy, Debug)]
pub struct Avx2(());

impl Avx2 {
    /// Asks the processor, once; later calls read the answer.
    #[inline]
    #[must_use]
    pub fn detect() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if detected::get() {
            return Some(Self(()));
        }
        None
    }

    /// Runs `work`, compiled for AVX2 as far as it is inlined.
    #[inline]
    pub fn run<T>(self, work: impl FnOnce() -> T) -> T {
        #[cfg(target_arch = "x86_64")]
        {
            #[target_feature(enable = "avx2")]
            fn compiled_for_avx2<T>(work: impl FnOnce() -> T) -> T {
                work()
            }
            #[expect(
                unsafe_code,
                reason = "a function with a target feature is called after detecting it"
            )]
            // SAFETY: `self` exists only where `detect` found AVX2.
            let result = unsafe { compiled_for_avx2(work) };
            result
        }
        #[cfg(not(target_arch = "x86_64"))]
        work()
    }
}
