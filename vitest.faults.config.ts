import { defineConfig } from 'vitest/config'

/** Faults, injected into the built program: `npm run test:faults`. */
export default defineConfig({
  test: {
    include: ['test/faults/**/*.test.ts'],
    // An origin that is down for half a minute is one of the tests.
    testTimeout: 120_000,
    hookTimeout: 60_000,
    pool: 'forks',
    // Each file has processes of its own. Not more at once: they measure how long recovery takes.
    maxWorkers: 2,
    reporters: ['verbose'],
    // Tables of what was seen, at the end.
    globalSetup: ['test/faults/support/report.ts'],
    // Figures stand beside the tests they belong to.
    disableConsoleIntercept: true,
  },
})
