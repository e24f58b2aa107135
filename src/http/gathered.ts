/** Bytes of a stream that are kept until those after them say what they are. */
import { StreamPiece } from '../reassembly/stream-parser.ts'
import { withRoom } from './room.ts'

const FIRST_BYTES = 64

export class Gathered {
  /** All of them, as if they had come at once when the first came. */
  readonly piece = new StreamPiece()

  constructor(first: StreamPiece, at: number) {
    const { piece } = this
    piece.bytes = Buffer.allocUnsafeSlow(FIRST_BYTES)
    piece.offset = first.offset + (at - first.at)
    piece.peerOffset = first.peerOffset
    piece.timeUs = first.timeUs
    piece.startsSegment = first.startsSegment && at === first.at
    piece.isAckedTo = first.isAckedTo && at === first.at
  }

  get length(): number {
    return this.piece.end
  }

  get capacity(): number {
    return this.piece.bytes.length
  }

  append(bytes: Buffer, at: number, end: number): void {
    const { piece } = this
    const needed = piece.end + (end - at)
    piece.bytes = withRoom(piece.bytes, piece.end, needed)
    bytes.copy(piece.bytes, piece.end, at, end)
    piece.end = needed
  }
}
