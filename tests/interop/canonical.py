"""One text for each value and type, whichever engine returned it, so that rows can be compared as texts.

Types are trees as in schemaString of the Delta log: a name, or a dict with "type". Values are directed by the type:
integers, dates (days) and timestamps (µs since 1970 UTC) become decimal texts, floats the bits of a double, decimals
plain text with all digits of their scale, binary hexadecimal, maps sorted pairs, structs lists in field order.
"""
import datetime
import decimal
import json
import struct

import pyarrow

EPOCH = datetime.datetime(1970, 1, 1)
MICROSECOND = datetime.timedelta(microseconds=1)
WIDE = decimal.Context(prec=76)
INTEGERS = {"long", "integer", "short", "byte"}


def type_text(t):
    """The name of a type, nullability left out: readers differ in what they keep of it."""
    if isinstance(t, str):
        return t
    if t["type"] == "array":
        return f"array<{type_text(t['elementType'])}>"
    if t["type"] == "map":
        return f"map<{type_text(t['keyType'])},{type_text(t['valueType'])}>"
    return "struct<" + ",".join(f"{f['name']}:{type_text(f['type'])}" for f in t["fields"]) + ">"


def nullable_text(t):
    """The same with ? wherever null is allowed, for the trees of readers that keep it."""
    if isinstance(t, str):
        return t
    if t["type"] == "array":
        return f"array<{nullable_text(t['elementType'])}{'?' if t['containsNull'] else ''}>"
    if t["type"] == "map":
        return f"map<{nullable_text(t['keyType'])},{nullable_text(t['valueType'])}{'?' if t['valueContainsNull'] else ''}>"
    return "struct<" + ",".join(f"{f['name']}:{nullable_text(f['type'])}{'?' if f['nullable'] else ''}" for f in t["fields"]) + ">"


def struct_tree(fields):
    return {"type": "struct", "fields": [{"name": n, "type": t} for n, t in fields]}


def list_tree(element):
    return {"type": "array", "elementType": element}


def arrow_tree(t):
    """The Delta type that an Arrow type stands for; types of Arrow that Delta lacks keep their own name."""
    kinds = pyarrow.types
    if kinds.is_dictionary(t):
        return arrow_tree(t.value_type)
    if kinds.is_struct(t):
        return struct_tree([(f.name, arrow_tree(f.type)) for f in t])
    if kinds.is_map(t):
        return {"type": "map", "keyType": arrow_tree(t.key_type), "valueType": arrow_tree(t.item_type)}
    if kinds.is_list(t) or kinds.is_large_list(t) or kinds.is_list_view(t):
        return list_tree(arrow_tree(t.value_type))
    if kinds.is_decimal(t):
        return f"decimal({t.precision},{t.scale})"
    if kinds.is_timestamp(t) and t.unit == "us":
        return "timestamp" if t.tz else "timestamp_ntz"
    if kinds.is_string(t) or kinds.is_large_string(t) or kinds.is_string_view(t):
        return "string"
    if kinds.is_binary(t) or kinds.is_large_binary(t) or kinds.is_binary_view(t):
        return "binary"
    names = {"int64": "long", "int32": "integer", "int16": "short", "int8": "byte", "bool": "boolean", "float": "float", "double": "double", "date32[day]": "date", "null": "void"}
    return names.get(str(t), str(t))


def arrow_rows(table):
    return zip(*(c.to_pylist() for c in table.columns)) if table.num_columns else []


def value_text(v, t):
    """The canonical form of one value: nested lists of texts, None for null."""
    if v is None:
        return None
    if not isinstance(t, str):
        return nested(v, t)
    if t in INTEGERS:
        return str(int(v))
    if t == "date":
        return v if isinstance(v, str) else str(v.toordinal() - EPOCH.toordinal())
    if t in ("timestamp", "timestamp_ntz"):
        return v if isinstance(v, str) else str(microseconds(v))
    if t in ("float", "double"):
        return v if isinstance(v, str) else float_text(v)
    if t == "binary":
        return v if isinstance(v, str) else bytes(v).hex()
    if t == "boolean":
        return bool(v)
    if t.startswith("decimal"):
        scale = int(t[:-1].split(",")[1])
        return f"{decimal.Decimal(v).quantize(decimal.Decimal(1).scaleb(-scale), context=WIDE):f}"
    if t == "variant":
        return json.dumps(json.loads(v if isinstance(v, str) else v.toJson()), sort_keys=True)
    return v


def nested(v, t):
    if t["type"] == "array":
        return [value_text(e, t["elementType"]) for e in v]
    if t["type"] == "struct":
        values = [v[f["name"]] for f in t["fields"]] if isinstance(v, dict) else v
        return [value_text(e, f["type"]) for e, f in zip(values, t["fields"], strict=True)]
    pairs = v.items() if isinstance(v, dict) else v
    pairs = [(e["key"], e["value"]) if isinstance(e, dict) else e for e in pairs]
    return sorted(([value_text(k, t["keyType"]), value_text(e, t["valueType"])] for k, e in pairs), key=json.dumps)


def microseconds(v):
    if v.tzinfo is not None:
        v = v.astimezone(datetime.timezone.utc).replace(tzinfo=None)
    return (v - EPOCH) // MICROSECOND


def float_text(v):
    return "nan" if v != v else struct.pack(">d", v).hex()


def rows_text(rows, tree):
    """The rows as sorted texts: a multiset."""
    types = [f["type"] for f in tree["fields"]]
    return sorted(json.dumps([value_text(v, t) for v, t in zip(row, types, strict=True)], ensure_ascii=False) for row in rows)
