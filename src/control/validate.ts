// Checks what a request carries against the schema of its route. The answer names the key and
// what it must be, never the value, nor an unknown key: both may be a card number.

import { compileSchema, type SchemaProblem, type TSchema } from "../schema.js";
import { Problem } from "./problem.js";

/** The part of a schema that a message is made of. */
interface Described {
  type?: string;
  enum?: readonly string[];
  anyOf?: Described[];
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  description?: string;
  properties?: Record<string, Described>;
  items?: Described;
}

/** Returns a function that throws a Problem (400) when a value does not fit `schema`. */
export function validator(schema: TSchema, where: string): (value: unknown) => void {
  const compiled = compileSchema(schema);
  return (value) => {
    if (compiled.check(value)) return;
    const texts = new Set(compiled.problems(value).map((problem) => explain(problem, schema)));
    texts.delete("");
    const message = [...texts].slice(0, 5).join("; ") || "does not fit its schema";
    throw new Problem(400, "INVALID", `${where}: ${message}`);
  };
}

/** Query strings and paths carry text: turns whole numbers into numbers where the schema wants. */
export function coerceNumbers(schema: TSchema, values: unknown): unknown {
  const properties = (schema as Described).properties ?? {};
  const coerced: Record<string, unknown> = { ...(values as Record<string, unknown>) };
  for (const [name, property] of Object.entries(properties)) {
    const text = coerced[name];
    if (property.type !== "integer" || typeof text !== "string") continue;
    if (/^[0-9]{1,16}$/.test(text)) coerced[name] = Number(text);
  }
  return coerced;
}

function explain(problem: SchemaProblem, schema: TSchema): string {
  const at = locate(problem.path, schema as Described);
  if (problem.keyword === "required") {
    const missing = problem.params.requiredProperties;
    return Array.isArray(missing) ? `${at.name}${missing.join(", ")} missing` : "";
  }
  if (problem.keyword === "additionalProperties") return `${at.name}an unknown key`;
  if (problem.keyword === "boolean" || at.schema === null) return "";
  return `${at.name.replace(": ", " ")}must be ${expected(at.schema)}`;
}

/** Walks a JSON pointer through our own schema: only names that stand in it are repeated. */
function locate(path: string, schema: Described): { name: string; schema: Described | null } {
  let at: Described | undefined = schema;
  let name = "";
  for (const part of path.split("/").slice(1)) {
    if (at?.properties && Object.hasOwn(at.properties, part)) {
      name = name === "" ? part : `${name}.${part}`;
      at = at.properties[part];
    } else if (at?.items && /^[0-9]+$/.test(part)) {
      name = `${name}[${part.slice(0, 6)}]`;
      at = at.items;
    } else {
      return { name: name === "" ? "" : `${name}: `, schema: null };
    }
  }
  return { name: name === "" ? "" : `${name}: `, schema: at ?? null };
}

function expected(schema: Described): string {
  if (schema.anyOf) return schema.anyOf.map(expected).join(" or ");
  if (schema.enum) return `one of ${schema.enum.join(", ")}`;
  const text = schema.description === undefined ? "" : ` (${schema.description})`;
  switch (schema.type) {
    case "integer":
      return `a whole number from ${schema.minimum ?? "any"} to ${schema.maximum ?? "any"}${text}`;
    case "string":
      return `text of ${schema.minLength ?? 0} to ${schema.maxLength ?? "any"} characters${text}`;
    case "array":
      return `a list of ${schema.minItems ?? 0} to ${schema.maxItems ?? "any"}${text}`;
    default:
      return `of type ${schema.type ?? "unknown"}${text}`;
  }
}
