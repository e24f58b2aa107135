/*
 * Classic pcap (draft-ietf-opsawg-pcap): a file header, then records. All numbers in the byte order of the magic number.
 *
 *  file header                                   record header
 *  byte  field                                   byte  field
 *     0  magic                                      0  seconds since the Unix epoch, unsigned
 *     4  major version u16, minor version u16       4  microseconds or nanoseconds, by the magic
 *     8  reserved (time zone, never used)           8  captured length
 *    12  reserved (accuracy, never used)           12  length on the wire
 *    16  snapLength                                16  the packet; with the Kuznetzov magic 8 bytes
 *    20  link type                                     (interface, protocol, packet type) stand before it
 */
export const FILE_HEADER_LEN = 24
export const RECORD_HEADER_LEN = 16
export const KUZNETZOV_RECORD_HEADER_LEN = 24

export const VERSION_MAJOR = 4
export const VERSION_MINOR = 6
export const SNAP_LENGTH = 16
export const LINK_TYPE = 20

export const FRACTION = 4
export const CAPTURED_LENGTH = 8
export const WIRE_LENGTH = 12

export const MAGIC_MICROSECONDS = 0xa1b2c3d4
export const MAGIC_NANOSECONDS = 0xa1b23c4d
/** Linux systems of the late 1990s: microseconds, with a longer record header. */
export const MAGIC_KUZNETZOV = 0xa1b2cd34
