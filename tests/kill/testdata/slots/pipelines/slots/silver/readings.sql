/* @lake
kind: merge
key: [slot, reading]
sequence_by: [_file, _row]
not_stored: [_file, _row]
@lake */
SELECT slot, reading, _file, _row FROM bronze.readings;
