//! zlib and zlib-ng: one API, two crates, called directly because no safe crate lets one choose the memory level.
#![allow(unsafe_code)]

macro_rules! binding {
    ($name:ident, $library:ident) => {
        pub mod $name {
            use std::ffi::c_int;
            use std::mem::MaybeUninit;

            use $library as z;

            use crate::codec::{Compressor, Decompressor, Settings};
            use crate::heap::{zalloc, zfree};

            fn stream() -> Box<z::z_stream> {
                let mut stream = Box::new(MaybeUninit::<z::z_stream>::zeroed());
                let raw = stream.as_mut_ptr();
                // SAFETY: a stream before its init is zeros and the two hooks; the fields are written without
                // making a reference to a struct whose function pointers are still null.
                unsafe {
                    (&raw mut (*raw).zalloc).write(zalloc);
                    (&raw mut (*raw).zfree).write(zfree);
                    stream.assume_init()
                }
            }

            fn stream_size() -> c_int {
                c_int::try_from(size_of::<z::z_stream>()).expect("a small struct")
            }

            /// The address of a stream does not move: its state points back at it.
            pub struct Deflate(Box<z::z_stream>);

            impl Deflate {
                pub fn new(settings: Settings) -> Self {
                    let mut stream = stream();
                    // SAFETY: the stream is initialized as zlib asks; the version is zlib's own.
                    let code = unsafe {
                        z::deflateInit2_(
                            &raw mut *stream,
                            settings.level,
                            z::Z_DEFLATED,
                            -i32::from(settings.window_bits),
                            settings.memory_level,
                            z::Z_DEFAULT_STRATEGY,
                            z::zlibVersion(),
                            stream_size(),
                        )
                    };
                    assert_eq!(code, z::Z_OK);
                    Self(stream)
                }
            }

            impl Compressor for Deflate {
                fn reset(&mut self) {
                    // SAFETY: the stream was initialized in `new`.
                    assert_eq!(unsafe { z::deflateReset(&raw mut *self.0) }, z::Z_OK);
                }

                fn compress(&mut self, message: &[u8], out: &mut [u8]) -> usize {
                    let room = out.len() as u32;
                    self.0.next_in = message.as_ptr().cast_mut();
                    self.0.avail_in = message.len() as u32;
                    self.0.next_out = out.as_mut_ptr();
                    self.0.avail_out = room;
                    // SAFETY: both pointers and lengths are those of live slices; zlib only reads `next_in`.
                    let code = unsafe { z::deflate(&raw mut *self.0, z::Z_SYNC_FLUSH) };
                    assert!(code == z::Z_OK && self.0.avail_out > 0);
                    (room - self.0.avail_out) as usize - 4
                }
            }

            impl Drop for Deflate {
                fn drop(&mut self) {
                    // SAFETY: the stream was initialized in `new`, and is not used again.
                    unsafe { z::deflateEnd(&raw mut *self.0) };
                }
            }

            pub struct Inflate(Box<z::z_stream>);

            impl Inflate {
                pub fn new(window_bits: u8) -> Self {
                    let mut stream = stream();
                    let window_bits = -i32::from(window_bits);
                    // SAFETY: as in `Deflate::new`.
                    let code = unsafe {
                        z::inflateInit2_(&raw mut *stream, window_bits, z::zlibVersion(), stream_size())
                    };
                    assert_eq!(code, z::Z_OK);
                    Self(stream)
                }

                /// Bytes written; `None` when the input is not valid for this window.
                pub fn inflate(&mut self, input: &mut &[u8], out: &mut [u8]) -> Option<usize> {
                    self.0.next_in = input.as_ptr().cast_mut();
                    self.0.avail_in = input.len() as u32;
                    self.0.next_out = out.as_mut_ptr();
                    self.0.avail_out = out.len() as u32;
                    // SAFETY: as in `compress`.
                    let code = unsafe { z::inflate(&raw mut *self.0, z::Z_SYNC_FLUSH) };
                    *input = &input[input.len() - self.0.avail_in as usize..];
                    let sound = matches!(code, z::Z_OK | z::Z_BUF_ERROR | z::Z_STREAM_END);
                    sound.then(|| out.len() - self.0.avail_out as usize)
                }
            }

            impl Decompressor for Inflate {
                fn reset(&mut self) {
                    // SAFETY: the stream was initialized in `new`.
                    assert_eq!(unsafe { z::inflateReset(&raw mut *self.0) }, z::Z_OK);
                }

                fn decompress(&mut self, mut message: &[u8], out: &mut [u8]) -> usize {
                    self.inflate(&mut message, out).expect("a valid stream")
                }
            }

            impl Drop for Inflate {
                fn drop(&mut self) {
                    // SAFETY: the stream was initialized in `new`, and is not used again.
                    unsafe { z::inflateEnd(&raw mut *self.0) };
                }
            }
        }
    };
}

binding!(zlib, libz_sys);
#[cfg(feature = "zlib-ng")]
binding!(zlib_ng, libz_ng_sys);
