/** Classic BPF as the kernel documents it, written for reading: the tests' own, not the product's. */
import type { Instruction } from '../../src/sources/live/bpf-assembler.ts'

/** What the program answers for `packet`; a load outside of it ends the program with 0. */
export function runBpf(program: readonly Instruction[], packet: Buffer): number {
  const memory = new Map<number, number>()
  let a = 0
  let x = 0
  for (let pc = 0; ; pc++) {
    const instruction = program[pc]
    if (instruction === undefined) throw new Error(`the program runs out at ${pc}`)
    const { code, k, whenTrue, whenFalse } = instruction
    const recall = () => {
      const word = memory.get(k)
      if (k > 15 || word === undefined) throw new Error(`M[${k}] is read before it is written, at ${pc}`)
      return word
    }
    const operand = (code & 0x08) !== 0 ? x : k
    switch (code) {
      case 0x40: // ld [x + k]
      case 0x48: // ldh
      case 0x50: {
        // ldb
        const size = code === 0x40 ? 4 : code === 0x48 ? 2 : 1
        const at = x + k
        if (at + size > packet.length) return 0
        a = packet.readUIntBE(at, size)
        break
      }
      case 0x01:
        x = k
        break
      case 0x60:
        a = recall()
        break
      case 0x61:
        x = recall()
        break
      case 0x02:
        memory.set(k, a)
        break
      case 0x03:
        memory.set(k, x)
        break
      case 0x04:
      case 0x0c:
        a = (a + operand) >>> 0
        break
      case 0x24:
        a = Math.imul(a, operand) >>> 0
        break
      case 0x54:
        a = (a & operand) >>> 0
        break
      case 0x64:
        a = (a << operand) >>> 0
        break
      case 0x74:
        a = a >>> operand
        break
      case 0x94:
        if (operand === 0) throw new Error(`modulo 0 at ${pc}`)
        a = a % operand
        break
      case 0xa4:
      case 0xac:
        a = (a ^ operand) >>> 0
        break
      case 0x07:
        x = a
        break
      case 0x87:
        a = x
        break
      case 0x05:
        pc += k
        break
      case 0x15:
        pc += a === k ? whenTrue : whenFalse
        break
      case 0x45:
        pc += (a & k) !== 0 ? whenTrue : whenFalse
        break
      case 0x06:
        return k
      case 0x16:
        return a
      default:
        throw new Error(`unknown instruction 0x${code.toString(16)} at ${pc}`)
    }
  }
}
