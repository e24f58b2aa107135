/**
 * Which source a line of a built chunk comes from. Entry points are bundles: several modules stand in one file of `dist/src/chunks`, each
 * behind a comment with the path of its source, which the bundler writes.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** `// src/http/head.ts` or `// node_modules/zod/…`, alone on its line. */
const MODULE = /^\/\/ (?:src\/)?(\S+\.[cm]?[jt]s)$/

export class ChunkSources {
  private readonly folder: string
  private readonly chunks = new Map<string, readonly { readonly line: number; readonly source: string }[]>()

  /** @param folder of the build that file names are relative to */
  constructor(folder: string) {
    this.folder = folder
  }

  /** @returns the source from `src/` on, as `http/head.ts`; the file itself where nothing says so */
  sourceOf(file: string, line: number): string {
    let source = file
    for (const module of this.modulesOf(file)) {
      if (module.line > line) break
      source = module.source
    }
    return source
  }

  private modulesOf(file: string): readonly { readonly line: number; readonly source: string }[] {
    let modules = this.chunks.get(file)
    if (modules === undefined) {
      const path = join(this.folder, file)
      modules = existsSync(path) ? modulesIn(readFileSync(path, 'utf8')) : []
      this.chunks.set(file, modules)
    }
    return modules
  }
}

/** Modules of a chunk's text in order, with the line each begins at, counted from 1. */
export function modulesIn(text: string): { readonly line: number; readonly source: string }[] {
  return text.split('\n').flatMap((content, i) => {
    const source = MODULE.exec(content)?.[1]
    return source === undefined ? [] : [{ line: i + 1, source }]
  })
}
