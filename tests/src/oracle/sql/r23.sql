--@ task AS SELECT *, project AS code FROM l_project_tasks WHERE status <> 'cancelled'
--= 1 任务数
SELECT ru, org, 1 AS v, code FROM task
--= 2 已完成
SELECT ru, org, 1 AS v, code FROM task WHERE status = 'done'
--= 3 进行中
SELECT ru, org, 1 AS v, code FROM task WHERE status = 'in_progress' AND NOT (due_on <> '' AND due_on < $D)
--= 4 未启动
SELECT ru, org, 1 AS v, code FROM task WHERE status = 'not_started' AND NOT (due_on <> '' AND due_on < $D)
--= 5 逾期
SELECT ru, org, 1 AS v, code FROM task WHERE status <> 'done' AND due_on <> '' AND due_on < $D
--= 6 完成率 = 2 / 1
