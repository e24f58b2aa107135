/** Source files as JavaScript in a folder of their own: threads and processes load them without a build, and never a stale one. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import ts from 'typescript'

const SRC = fileURLToPath(new URL('../../src', import.meta.url))

export interface Compiled {
  /** URL of a compiled file, for example `ring/ring.ts`. */
  url(path: string): string
  /** Writes a module beside them. @returns its path */
  script(name: string, text: string): string
  remove(): void
}

/** Compiles `entries` (paths below src) and what they import. */
export function compile(...entries: readonly string[]): Compiled {
  const folder = mkdtempSync(join(tmpdir(), 'mirrorshard-test-'))
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  const done = new Set<string>()
  const visit = (path: string) => {
    if (done.has(path)) return
    done.add(path)
    const source = readFileSync(path, 'utf8')
    const out = join(folder, relative(SRC, path)).replace(/\.ts$/, '.js')
    mkdirSync(dirname(out), { recursive: true })
    const { outputText } = ts.transpileModule(source, {
      fileName: path,
      compilerOptions: {
        target: ts.ScriptTarget.ES2022,
        module: ts.ModuleKind.ESNext,
        verbatimModuleSyntax: true,
        rewriteRelativeImportExtensions: true,
      },
    })
    writeFileSync(out, outputText)
    for (const [, imported] of outputText.matchAll(/^(?:import|export) [^;]*?from ["'](\.[^"']+)\.js["']/gm)) {
      visit(resolve(dirname(path), `${imported}.ts`))
    }
  }
  for (const entry of entries) visit(join(SRC, entry))
  return {
    url: (path) => pathToFileURL(join(folder, path.replace(/\.ts$/, '.js'))).href,
    script: (name, text) => {
      const path = join(folder, name)
      writeFileSync(path, text)
      return path
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}
