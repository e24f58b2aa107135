import { fileURLToPath } from 'node:url'

/** The built program: `npm run test:faults` builds it before anything runs. */
export const MAIN = fileURLToPath(new URL('../../../dist/src/main.js', import.meta.url))
