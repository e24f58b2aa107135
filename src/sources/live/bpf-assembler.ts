/**
 * Classic BPF (Linux Documentation/networking/filter.rst) from named instructions and labels: nobody counts jumps.
 *
 * The machine: accumulator A, index X, 16 words of memory M, forward jumps only. Loads from the packet are big-endian; one that
 * reaches outside the packet ends the program with 0.
 *
 *  struct sock_filter, 8 bytes:   0 code u16   2 jump if true u8   3 jump if false u8   4 k u32
 */

export interface Instruction {
  readonly code: number
  /** Instructions skipped. */
  readonly whenTrue: number
  readonly whenFalse: number
  /** u32 */
  readonly k: number
}

const LD = 0x00
const LDX = 0x01
const ST = 0x02
const STX = 0x03
const ALU = 0x04
const JMP = 0x05
const RET = 0x06
const MISC = 0x07

const WORD = 0x00
const HALF = 0x08
const BYTE = 0x10
/** Address modes: a constant, packet[X + k], M[k]. */
const IMM = 0x00
const IND = 0x40
const MEM = 0x60

const ADD = 0x00
const MUL = 0x20
const AND = 0x50
const LSH = 0x60
const RSH = 0x70
/** Linux's own: not in the original machine. */
const MOD = 0x90
const XOR = 0xa0
const BY_X = 0x08

const JA = 0x00
const JEQ = 0x10
const JSET = 0x40

const RET_A = 0x10
const TAX = 0x00
const TXA = 0x80

const INSTRUCTION_BYTES = 8
const MEMORY_WORDS = 16
/** Conditional jumps are stored in one byte. */
const MAX_JUMP = 255

interface Line {
  readonly code: number
  readonly k: number
  readonly ifTrue: string | null
  readonly ifFalse: string | null
}

export class BpfAssembler {
  private readonly lines: Line[] = []
  private readonly labels = new Map<string, number>()
  private readonly words = new Map<string, number>()

  label(name: string): void {
    if (this.labels.has(name)) throw new Error(`label ${name} is set twice`)
    this.labels.set(name, this.lines.length)
  }

  /** A = packet[X + at], 1, 2 or 4 bytes. */
  loadByte(at: number): void {
    this.emit(LD | BYTE | IND, at)
  }
  loadHalf(at: number): void {
    this.emit(LD | HALF | IND, at)
  }
  loadWord(at: number): void {
    this.emit(LD | WORD | IND, at)
  }

  /** X = k */
  setX(k: number): void {
    this.emit(LDX | IMM, k)
  }

  /** A and X from and to a named word of M. */
  recallA(word: string): void {
    this.emit(LD | MEM, this.memory(word))
  }
  recallX(word: string): void {
    this.emit(LDX | MEM, this.memory(word))
  }
  keepA(word: string): void {
    this.emit(ST, this.memory(word))
  }
  keepX(word: string): void {
    this.emit(STX, this.memory(word))
  }

  add(k: number): void {
    this.emit(ALU | ADD, k)
  }
  multiply(k: number): void {
    this.emit(ALU | MUL, k)
  }
  and(k: number): void {
    this.emit(ALU | AND, k)
  }
  xor(k: number): void {
    this.emit(ALU | XOR, k)
  }
  shiftLeft(k: number): void {
    this.emit(ALU | LSH, k)
  }
  shiftRight(k: number): void {
    this.emit(ALU | RSH, k)
  }
  /** Unsigned. */
  modulo(k: number): void {
    this.emit(ALU | MOD, k)
  }
  addX(): void {
    this.emit(ALU | ADD | BY_X, 0)
  }
  xorX(): void {
    this.emit(ALU | XOR | BY_X, 0)
  }
  /** X = A */
  toX(): void {
    this.emit(MISC | TAX, 0)
  }
  /** A = X */
  fromX(): void {
    this.emit(MISC | TXA, 0)
  }

  jump(label: string): void {
    this.emit(JMP | JA, 0, label)
  }
  /** Where A equals k; else on. */
  jumpIfEqual(k: number, label: string): void {
    this.emit(JMP | JEQ, k, label)
  }
  /** Where A does not equal k; else on. */
  jumpUnlessEqual(k: number, label: string): void {
    this.emit(JMP | JEQ, k, null, label)
  }
  /** Where A has any bit of k; else on. */
  jumpIfAny(k: number, label: string): void {
    this.emit(JMP | JSET, k, label)
  }
  /** Where A has no bit of k; else on. */
  jumpIfNone(k: number, label: string): void {
    this.emit(JMP | JSET, k, null, label)
  }

  return(k: number): void {
    this.emit(RET, k)
  }
  returnA(): void {
    this.emit(RET | RET_A, 0)
  }

  /** @throws Error for a label that is missing, behind, or too far ahead: a fault of the program, not of its input */
  build(): Instruction[] {
    return this.lines.map(({ code, k, ifTrue, ifFalse }, i) => {
      const isJump = code === (JMP | JA)
      const skipped = (label: string | null, most: number): number => {
        if (label === null) return 0
        const to = this.labels.get(label)
        const distance = to === undefined ? -1 : to - i - 1
        if (distance < 0 || distance > most)
          throw new Error(`instruction ${i} cannot jump to ${label} (${to ?? 'nowhere'})`)
        return distance
      }
      return {
        code,
        whenTrue: isJump ? 0 : skipped(ifTrue, MAX_JUMP),
        whenFalse: skipped(ifFalse, MAX_JUMP),
        k: isJump ? skipped(ifTrue, this.lines.length) : k >>> 0,
      }
    })
  }

  private memory(word: string): number {
    let at = this.words.get(word)
    if (at === undefined) {
      at = this.words.size
      if (at === MEMORY_WORDS) throw new Error(`no word of memory is left for ${word}`)
      this.words.set(word, at)
    }
    return at
  }

  private emit(code: number, k: number, ifTrue: string | null = null, ifFalse: string | null = null): void {
    this.lines.push({ code, k, ifTrue, ifFalse })
  }
}

/** As the kernel reads it, little-endian. In shared memory, which never moves: the kernel is given its address. */
export function encodeBpf(program: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(new SharedArrayBuffer(program.length * INSTRUCTION_BYTES))
  const view = new DataView(bytes.buffer)
  for (const [i, { code, whenTrue, whenFalse, k }] of program.entries()) {
    view.setUint16(i * INSTRUCTION_BYTES, code, true)
    view.setUint8(i * INSTRUCTION_BYTES + 2, whenTrue)
    view.setUint8(i * INSTRUCTION_BYTES + 3, whenFalse)
    view.setUint32(i * INSTRUCTION_BYTES + 4, k, true)
  }
  return bytes
}
