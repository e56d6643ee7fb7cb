# Makes all symbols of an object local but those that begin with ito_:
#   cmake -DOBJECT=<file> -DNM=<nm> -DOBJCOPY=<objcopy> -P local_symbols.cmake
# objcopy leaves those alone that g++ marks as the only ones in a whole process (inline variables, statics of inline
# functions), unless they are made weak before.
execute_process(COMMAND ${NM} --defined-only ${OBJECT} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[0-9a-f]+ u [^\n]+" unique "${symbols}")
list(TRANSFORM unique REPLACE "^[0-9a-f]+ u " "")
list(JOIN unique "\n" unique)
file(WRITE ${OBJECT}.unique "${unique}\n")
execute_process(COMMAND ${OBJCOPY} --weaken-symbols=${OBJECT}.unique ${OBJECT} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${OBJCOPY} --wildcard --keep-global-symbol=ito_* ${OBJECT} COMMAND_ERROR_IS_FATAL ANY)
file(REMOVE ${OBJECT}.unique)
