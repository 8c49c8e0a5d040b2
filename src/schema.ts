// The one home of typebox: schemas are JSON Schema objects with a static type, checked by a
// compiled function. Whoever reports an error words it: nothing here echoes a value.

import type { Static, TSchema, Type as Typebox } from "typebox";
// The same checks as "typebox/compile", which loads twice as much for what is not used here.
import { Compile } from "typebox/schema";

export type { Static, TSchema };

type Keywords = Readonly<Record<string, unknown>>;

/** On schemas of properties that may be missing; not in their JSON. */
const OPTIONAL = Symbol("optional");

const ofType = (type: string) => {
  return (options: Keywords = {}): Keywords => ({ ...options, type });
};

const builders = {
  Boolean: ofType("boolean"),
  Integer: ofType("integer"),
  Null: ofType("null"),
  Number: ofType("number"),
  String: ofType("string"),
  Array: (items: Keywords, options: Keywords = {}) => ({ ...options, type: "array", items }),
  Literal: (value: unknown) => ({ type: typeof value, const: value }),
  Object: (properties: Readonly<Record<string, Keywords>>, options: Keywords = {}) => {
    const required = Object.keys(properties).filter((name) => !(OPTIONAL in properties[name]!));
    return { ...options, type: "object", ...(required.length > 0 && { required }), properties };
  },
  Optional: (schema: Keywords) => Object.defineProperty({ ...schema }, OPTIONAL, {}),
  Union: (anyOf: readonly Keywords[], options: Keywords = {}) => ({ ...options, anyOf }),
  Unsafe: (schema: Keywords) => schema,
};

/**
 * What is used here of typebox's `Type`, with its static types. That itself takes 0.2 s to load, in
 * each of two threads that a start waits for.
 */
export const Type = builders as unknown as Pick<typeof Typebox, keyof typeof builders>;

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
