//! What a BIOS finds: a word to whoever sits in front of it. The image boots by UEFI alone; without this the machine would
//! hang without a reason.
//!
//! A BIOS loads the first sector to 0x7c00 and jumps there in real mode, whatever the partition table says.

/// The room before the table: UEFI specification, table 5-3.
pub(super) const ROOM: usize = 440;

/// What is shown.
pub(super) const MESSAGE: &str = "This disk boots by UEFI only, and this machine starts it as a BIOS would.\r\n\
    Choose UEFI in the firmware's setup, or give the virtual machine UEFI firmware (OVMF).\r\n";

/// Prints what follows it, up to a zero, by the BIOS's teletype call (INT 10h, AH=0Eh), and halts.
const PROGRAM: [u8; 26] = [
    0x31, 0xc0, // xor ax, ax
    0x8e, 0xd8, // mov ds, ax
    0xfc, // cld
    0xbe, 0x1a, 0x7c, // mov si, 0x7c1a: the end of this program
    0xac, // next: lodsb
    0x84, 0xc0, // test al, al
    0x74, 0x09, // jz halt
    0xb4, 0x0e, // mov ah, 0x0e
    0xbb, 0x07, 0x00, // mov bx, 7
    0xcd, 0x10, // int 0x10
    0xeb, 0xf2, // jmp next
    0xf4, // halt: hlt
    0xeb, 0xfd, // jmp halt
    0x90, // nop
];

/// The boot code of the first sector.
pub(super) fn boot_code() -> [u8; ROOM] {
    let mut code = [0; ROOM];
    code[..PROGRAM.len()].copy_from_slice(&PROGRAM);
    code[PROGRAM.len()..][..MESSAGE.len()].copy_from_slice(MESSAGE.as_bytes());
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_fits_and_begins_where_the_program_looks() {
        assert!(PROGRAM.len() + MESSAGE.len() < ROOM, "no room for the zero that ends it");
        assert_eq!(usize::from(u16::from_le_bytes([PROGRAM[6], PROGRAM[7]])), 0x7c00 + PROGRAM.len());
        assert!(boot_code()[PROGRAM.len()..].starts_with(b"This disk boots by UEFI only"));
    }
}
