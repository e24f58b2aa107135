// Loaded in front of a program, in each of its threads: Date runs ahead by what stands in a file, milliseconds. Only Date does.
import { readFileSync } from 'node:fs'

const file = process.env.SHIFT_DATE_FILE
const RealDate = Date
const now = RealDate.now
const shifted = () => now() + (Number(readFileSync(file, 'utf8')) || 0)

globalThis.Date = class extends RealDate {
  constructor(...args) {
    if (args.length === 0) super(shifted())
    else super(...args)
  }
  static now() {
    return shifted()
  }
}
