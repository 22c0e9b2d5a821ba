/* Stands where a generated model would: the board tests' application runs none. */
#ifndef TN_APP_MODEL_H
#define TN_APP_MODEL_H
#endif
