#include "app.h"

void app_infer(tn_device_run *run)
{
    run->status = app_run_model();
}
