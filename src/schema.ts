// The one home of typebox: schemas are JSON Schema objects with a static type, checked by a
// compiled function. Whoever reports an error words it: nothing here echoes a value.

import { type Static, type TSchema, Type } from "typebox";
// The same checks as "typebox/compile", which loads twice as much for what is not used here.
import { Compile } from "typebox/schema";

export { type Static, type TSchema, Type };

/** Where and against which keyword of JSON Schema a value fails; holds no value. */
export interface SchemaProblem {
  /** JSON pointer into the value; "" is the value itself. */
  path: string;
  keyword: string;
  params: Readonly<Record<string, unknown>>;
}

interface SchemaCheck {
  check(value: unknown): boolean;
  problems(value: unknown): SchemaProblem[];
}

/** Compiles a schema once; the result checks any number of values. */
export function compileSchema(schema: TSchema): SchemaCheck {
  const compiled = Compile(schema);
  return {
    check: (value) => compiled.Check(value),
    problems: (value) => {
      const [, errors] = compiled.Errors(value);
      return errors.map((error) => ({
        path: error.instancePath,
        keyword: error.keyword,
        params: error.params as Record<string, unknown>,
      }));
    },
  };
}

/** One of a list of words. */
export function oneOf<const Word extends string>(
  words: readonly Word[],
  options: { default?: Word; description?: string } = {},
) {
  return Type.Unsafe<Word>({ type: "string", enum: [...words], ...options });
}
